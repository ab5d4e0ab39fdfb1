"""A label counts as changed where the stored answer led it by more than a probability may differ."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.errors import ModelError
from fintune.export.export import export
from fintune.export.table import exports, markdown
from fintune.inference import open as opening
from fintune.inference.agreement import EXACT, ROUNDED, Verification, compare, need_equal
from fintune.models import load_model
from fintune.records import Prediction
from fintune.runs.run import Run
from tests.families import save
from tests.label_scores import task_of
from tests.made_records import prediction
from tests.tiny import config_for

TASK = task_of(["up", "down"])


def answers(*pairs: tuple[float, float]) -> list[Prediction]:
    """Of two labels each."""
    made = []
    for number, (up, down) in enumerate(pairs):
        label = "up" if up >= down else "down"
        made.append(prediction(str(number), "a text", label, label, {"up": up, "down": down}, gold="up"))
    return made


@pytest.mark.parametrize(
    ("stored", "found", "tolerance", "changed", "near_ties"),
    [
        ((0.5 + 1.5e-7, 0.5 - 1.5e-7), (0.5 - 1e-7, 0.5 + 1e-7), EXACT, 0, 1),
        ((0.51, 0.49), (0.49, 0.51), EXACT, 1, 0),
        ((0.5001, 0.4999), (0.4999, 0.5001), EXACT, 1, 0),
        ((0.5001, 0.4999), (0.4999, 0.5001), ROUNDED, 0, 1),
        ((0.503, 0.497), (0.4, 0.6), None, 0, 1),  # in 8 bits what half precision may decide is no change either
        ((0.51, 0.49), (0.49, 0.51), None, 1, 0),
        ((0.51, 0.49), (0.6, 0.4), EXACT, 0, 0),
        ((float("nan"), 0.5), (0.4, 0.6), None, 0, 0),  # both say down
        ((0.7, 0.3), (float("nan"), float("nan")), None, 1, 0),
    ],
)  # fmt: skip
def test_a_changed_label_counts_where_its_lead_passes_the_tolerance(
    stored: tuple[float, float], found: tuple[float, float], tolerance: float | None, changed: int, near_ties: int
) -> None:
    proved = compare(TASK, answers(stored, (0.9, 0.1)), answers(found, (0.9, 0.1)), tolerance)
    assert (proved.texts, proved.changed, proved.near_ties) == (2, changed, near_ties)
    assert (
        Verification.of(json.loads(json.dumps(proved.record()))) == proved
        or found[0] != found[0]
        or stored[0] != stored[0]
    )


def test_near_ties_are_no_reason_to_refuse_and_real_changes_are() -> None:
    tied = [(0.5 + 1e-7, 0.5 - 1e-7)] * 20 + [(0.9, 0.1)] * 180
    turned = [(0.5 - 1e-7, 0.5 + 1e-7)] * 20 + [(0.9, 0.1)] * 180
    for tolerance in (EXACT, ROUNDED, None):
        need_equal(compare(TASK, answers(*tied), answers(*turned), tolerance), tolerance, "merged", allow_loss=False)
    found = compare(TASK, answers(*tied), answers(*turned[:-2], (0.1, 0.9), (0.1, 0.9)), None)
    assert (found.changed, found.near_ties, found.agreement) == (2, 20, 0.99)
    with pytest.raises(ModelError, match=r"2 of 200 texts get another answer \(of 20 more, two answers"):
        need_equal(found, None, "int8", allow_loss=False)


def test_one_label_for_all_texts_proves_nothing_where_labels_decide() -> None:
    stored, rebuilt = answers((0.9, 0.1), (0.8, 0.2)), answers((0.6, 0.4), (0.8, 0.2))
    verification = compare(TASK, stored, rebuilt, None)
    assert (verification.one_label, verification.changed) == (True, 0)
    with pytest.raises(ModelError) as caught:
        need_equal(verification, None, "gguf, q8_0", allow_loss=False)
    assert "one answer, which proves nothing" in caught.value.hint
    need_equal(verification, None, "gguf, q8_0", allow_loss=True)
    need_equal(compare(TASK, stored, answers((0.85, 0.15), (0.8, 0.2)), None), None, "gguf, q8_0", allow_loss=False)
    two = [*stored, *answers((0.2, 0.8))]
    need_equal(compare(TASK, two, [*rebuilt, *answers((0.4, 0.6))], None), None, "gguf, q8_0", allow_loss=False)


def test_labels_are_compared_by_name_not_by_place() -> None:
    stored = answers((0.9, 0.1))
    turned = [replace(stored[0], probabilities={"down": 0.1, "up": 0.9})]
    assert compare(TASK, stored, turned, EXACT).largest_difference == 0


def test_who_can_do_something_is_told_what() -> None:
    found = compare(TASK, answers((0.9, 0.1)), answers((0.8, 0.2)), EXACT)
    with pytest.raises(ModelError, match="not the model that was evaluated") as told:
        need_equal(found, EXACT, "merged", allow_loss=True, rescore="fintune evaluate runs/a --split validation")
    assert told.value.hint.endswith("try again: fintune evaluate runs/a --split validation")
    assert "report it" not in told.value.hint


@pytest.fixture(scope="module")
def tying(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose model gives two of its labels the same probability for every text: their letters are one to it."""
    folder = tmp_path_factory.mktemp("tying")
    model = save("llama", folder / "model")
    loaded = load_model(str(model), device="cpu")
    b, c = (loaded.tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in "bc")
    with torch.no_grad():
        for layer in (loaded.model.get_output_embeddings(), loaded.model.get_input_embeddings()):
            layer.weight[b] = layer.weight[c]
    loaded.model.save_pretrained(model)
    config = config_for(model, rows_file, folder)
    config["task"]["answers"] = {"negative": "a", "neutral": "b", "positive": "c"}
    config["method"] = {"name": "lora", "r": 2, "target_modules": ["q_proj"]}
    return fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "evaluation.test=false"])


def nudged(run: Run, folder: Path) -> tuple[Run, int]:
    """A copy of a run in which the other of two equal labels has been stored, by 3e-7; how many texts that concerns."""
    copy = Run(Path(shutil.copytree(run.folder, folder)))
    stored = copy.predictions("validation")
    assert all(p.probabilities["positive"] == pytest.approx(p.probabilities["neutral"], abs=1e-6) for p in stored)
    copy.write_predictions("validation", [_turned(p) for p in stored])
    return copy, sum(p.answer != "negative" for p in stored)


def _turned(p: Prediction) -> Prediction:
    if p.answer == "negative":
        return p
    other = "neutral" if p.answer == "positive" else "positive"
    chances: dict[str, Any] = dict(p.probabilities)
    chances |= {p.answer: chances[p.answer] - 1.5e-7, other: chances[other] + 1.5e-7}
    return replace(p, answer=other, written=other, probabilities=chances)


def test_an_export_is_not_refused_for_labels_that_tie(tying: Run, tmp_path: Path) -> None:
    run, count = nudged(tying, tmp_path / "run")
    assert count
    made = export(run, "merged")
    assert (made.verification.changed, made.verification.near_ties) == (0, count)
    assert json.loads((made.folder / "verification.json").read_text())["near_ties"] == count
    assert (
        f"{9 - count} of the 9 validation texts (and of {count} one of two answers"
        in (made.folder / "README.md").read_text()
    )
    assert f"| {9 - count} of 9, {count} near tie" in markdown(exports([made]))


def test_an_engine_is_not_refused_for_labels_that_tie(tying: Run, tmp_path: Path, own_comparisons: Path) -> None:
    run, count = nudged(tying, tmp_path / "run")
    opening.open_engine(run, "int8")
    found = [*json.loads((own_comparisons / "comparisons.json").read_text()).values()][-1]
    assert (found["changed"], found["near_ties"]) == (0, count)


def test_a_record_from_before_near_ties_were_counted_has_none(tying: Run, tmp_path: Path) -> None:
    made = export(tying, "merged", output=tmp_path / "out")
    place = made.folder / "verification.json"
    record = {k: v for k, v in json.loads(place.read_text()).items() if k != "near_ties"}
    place.write_text(json.dumps(record))
    assert Verification.of(record).near_ties == 0
    assert fintune.load(made.folder)(["Alvex +"])[0].answer
    place.write_text(json.dumps(record | {"near_ties": -1}))
    with pytest.raises(ModelError, match="damaged: near_ties"):
        fintune.load(made.folder)


def test_sums_of_texts(tying: Run) -> None:
    stored: Sequence[Prediction] = tying.predictions("validation")
    assert compare(tying.config().build_task(), stored, stored, EXACT) == Verification(
        texts=9, changed=0, largest_difference=0.0, metric="accuracy", score=tying.scores()["validation"]["accuracy"].value,
        score_of_run=tying.scores()["validation"]["accuracy"].value, one_label=len({p.answer for p in stored}) == 1,
    )  # fmt: skip

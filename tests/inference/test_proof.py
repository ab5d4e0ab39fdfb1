"""Nothing rebuilt answers before it was compared with what was stored: every method, and all that layers may share."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.errors import ModelError
from fintune.inference import proof
from fintune.inference.agreement import EXACT
from fintune.inference.load import load_tuned
from fintune.inference.open import open_engine
from fintune.methods import METHODS
from fintune.runs.run import Run
from tests.opened import Case, methods, opened, saved, variants

REFUSED = {
    "gemma3": {"lora, head in full", "lora on the head", "lora, biases", "bitfit, own biases"},
    "gpt2": {"lora, head in full", "lora on the head"},
    "mt5": {"lora, head in full", "lora on the head", "lora, biases", "bitfit, own biases"},
}
"""a head that is the embedding, and biases that are not there: before training"""
CELLS = [(case, "mt5" if METHODS[case.method].only else "gemma3") for case in methods() if case.method != "peft"]
CELLS += [(case, family) for family in REFUSED for case in variants(family)]


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to")
@pytest.mark.parametrize(("case", "family"), CELLS, ids=lambda value: getattr(value, "label", value))
def test_what_load_answers_is_what_was_stored(case: Case, family: str, tmp_path: Path) -> None:
    model = saved(family, case.method, tmp_path / "models")
    assert model is not None
    cell = opened(case, model, tmp_path / "run")
    assert bool(cell.refused) == (case.label in REFUSED[family]), cell.refused
    assert cell.difference <= EXACT
    assert not cell.fell_back, "merged, it answers alike"


def test_half_precision_is_compared_too(tmp_path: Path) -> None:
    [case] = [case for case in variants("gemma3") if case.label == "lora on the embedding"]
    model = saved("gemma3", "lora", tmp_path)
    assert model is not None
    assert opened(case, model, tmp_path / "run", "bfloat16").difference == 0, "unmerged: merging would round again"


def _copied(trained: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained.folder, tmp_path / "run")))


def _wrongly(model: Any) -> None:
    """Turn the sign of what every block's feed-forward adds."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("down_proj.weight", "down_proj.base_layer.weight")):
                parameter.mul_(-1)


def _merge_wrongly(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have LoRA merge into weights that answer otherwise; how often it was asked to is counted."""
    asked: list[int] = []

    def merge(model: Any) -> Any:
        asked.append(1)
        plain = model.merge_and_unload()
        _wrongly(plain)
        return plain

    monkeypatch.setitem(METHODS, "lora", replace(METHODS["lora"], merge=merge))
    return asked


def test_a_merge_that_answers_otherwise_is_not_used_and_not_tried_twice(
    trained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _merge_wrongly(monkeypatch)
    stored = trained.predictions("validation")
    for _ in range(2):
        answered = fintune.load(trained.folder)([p.text for p in stored])
        assert [p.probabilities for p in answered] == [pytest.approx(p.probabilities, abs=1e-5) for p in stored]
    assert len(asked) == 1, "what was found is remembered"


def test_answers_that_neither_way_gives_are_refused(
    trained: Run, tmp_path: Path, fin: Any, own_comparisons: Path
) -> None:
    run = _copied(trained, tmp_path)
    stored = run.predictions("validation")
    turned = [
        replace(p, probabilities=dict(zip(p.probabilities, reversed(p.probabilities.values()), strict=True)))
        for p in stored
    ]
    run.write_predictions("validation", turned)
    result = fin("predict", run.folder, "Alvex +")
    assert result.code == 2
    assert "answers otherwise than when it was scored" in result.err
    assert f"fintune evaluate {run.folder} --rescore" in result.err
    assert fin("evaluate", run.folder, "--rescore").code == 0
    assert run.predictions("validation") == stored
    assert fin("predict", run.folder, "Alvex +").code == 0


def test_a_comparison_is_made_once_and_again_for_other_versions(
    trained: Run, monkeypatch: pytest.MonkeyPatch, own_comparisons: Path
) -> None:
    made: list[str] = []
    measure = proof._measured
    monkeypatch.setattr(
        "fintune.inference.proof._measured", lambda run, loaded: made.append("") or measure(run, loaded)
    )
    for count, version in ((1, "1"), (1, "1"), (2, "2")):
        monkeypatch.setattr("fintune.inference.proof.version", lambda package, version=version: version)
        open_engine(trained)
        assert len(made) == count
    assert len(json.loads((own_comparisons / "comparisons.json").read_text())) == 2


def test_a_cache_that_cannot_be_written_is_no_failure(
    trained: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("fintune.inference.proof.cache_folder", lambda: tmp_path / "file")
    assert fintune.load(trained.folder)(["Alvex +"])[0].answer


def test_an_adapter_is_refused_where_it_does_not_answer(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any, **options: Any) -> Any:
        tuned = load_tuned(*arguments, **options)
        _wrongly(tuned.model)
        return tuned

    monkeypatch.setattr("fintune.inference.open.load_tuned", wrong)
    with pytest.raises(ModelError, match=r"answers otherwise than when it was scored: \d of 9"):
        fintune.load(trained.folder)

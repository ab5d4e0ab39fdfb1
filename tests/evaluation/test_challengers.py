"""A run's baselines: their files, their scores, and what the base model has room for."""

import json
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.errors import ModelError
from fintune.evaluation.baselines import need_room, score_baseline, score_baselines
from fintune.inference.load import load_base
from fintune.runtime.progress import listening
from fintune.tasks.baselines import BASELINES
from tests.tiny import config_for

OWN = ["majority", "tfidf", "lexicon", "zero-shot", "few-shot"]


def test_every_baseline_leaves_scores_and_predictions(tiny_config: dict[str, Any]) -> None:
    chosen = f"evaluation.baselines=[{','.join(OWN)}]"
    run = fintune.train(tiny_config, [chosen, "evaluation.shots=1", "train.epochs=1"])
    assert list(run.baselines()) == OWN
    gold = [(p.id, p.gold) for p in run.predictions("test")]
    for name in OWN:
        found = run.predictions("test", name)
        assert [(p.id, p.gold) for p in found] == gold
        right = sum(p.right for p in found) / len(found)
        assert right == pytest.approx(run.baselines()[name]["test"]["accuracy"].value)
        assert set(found[0].probabilities) == (set() if name == "lexicon" else {"negative", "neutral", "positive"})
    assert run.baselines()["few-shot"] != run.baselines()["zero-shot"]
    assert "few-shot, test" in (run.folder / "README.md").read_text()


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_texts_keep_their_room_behind_the_examples(
    kind: str, request: pytest.FixtureRequest, rows_file: Path, tmp_path: Path
) -> None:
    config = config_for(request.getfixturevalue(f"tiny_{kind}"), rows_file, tmp_path)
    config["model"]["max_length"] = 40  # a text and an answer, no more
    prepared = prepare(load(config, ["evaluation.baselines=[few-shot]", "evaluation.shots=1"]))
    found = score_baseline(BASELINES["few-shot"], prepared, load_base(prepared.config), "validation")
    assert found.cut == 0
    assert len(found.predictions) == len(prepared.splits["validation"])


def test_examples_the_base_model_cannot_read_are_refused_before_training(tiny_config: dict[str, Any]) -> None:
    chosen = ["evaluation.baselines=[few-shot]", "evaluation.shots=8"]
    prepared = prepare(load(tiny_config, chosen))
    base = load_base(prepared.config)
    with pytest.raises(ModelError, match=r"few-shot shows \d+ tokens, and the base model reads 256"):
        need_room(prepared, base)
    need_room(prepare(load(tiny_config, [chosen[0], "evaluation.shots=1"])), base)
    with pytest.raises(ModelError, match="few-shot shows"):
        fintune.train(tiny_config, chosen)


def test_the_lexicon_is_left_out_of_other_labels_and_that_is_said(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    rows = [json.loads(line) for line in Path(tiny_config["data"]["path"]).read_text().splitlines()]
    (tmp_path / "two.jsonl").write_text(
        "".join(json.dumps(row | {"label": row["label"][:3]}) + "\n" for row in rows if row["label"] != "neutral")
    )
    tiny_config |= {
        "data": {"path": str(tmp_path / "two.jsonl")},
        "task": {"name": "classification", "labels": ["neg", "pos"], "prompt": "{text}{answer}"},
    }
    said: list[str] = []
    with listening(lambda event: said.append(event.note)):
        run = fintune.train(tiny_config, ["train.epochs=1", "evaluation.baselines=[majority, lexicon]"])
    assert set(run.baselines()) == {"majority"}
    assert "left out: lexicon knows the labels negative, neutral, positive alone, the task has neg, pos" in said


def test_names_given_twice_are_run_once(tiny_config: dict[str, Any]) -> None:
    prepared = prepare(load(tiny_config, ["evaluation.baselines=[majority, majority]"]))
    assert list(score_baselines(prepared, None, "validation")) == ["majority"]  # type: ignore[arg-type]
    assert set(BASELINES) >= set(OWN)

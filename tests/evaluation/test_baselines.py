"""What baselines answer is stored and scored like a model's answers."""

from typing import Any

import numpy as np
import pytest

from fintune.config.load import load
from fintune.config.prepare import Prepared
from fintune.data.splits import Splits
from fintune.evaluation.baselines import score_baseline
from fintune.inference.engines import Ranking
from fintune.records import Example
from fintune.tasks.baselines import BASELINES, Answers, Baseline
from tests.tasks.baselines.inputs import LABELS, rows


class Recorder:
    """An engine that answers the first candidate and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def rank(self, prompts: Any, candidates: Any, *, stage: str = "score") -> Ranking:
        self.prompts = [str(p) for p in prompts]
        scores = np.log(np.tile([0.5, 0.3, 0.2], (len(prompts), 1)))
        return Ranking(scores, np.ones(3, dtype=np.int64), np.zeros(len(prompts), dtype=np.int64))


def prepared(train: list[Example], scored: list[Example], **evaluation: Any) -> Prepared:
    task = {"name": "classification", "labels": LABELS, "prompt": "{text} ->{answer}"}
    config = load({"task": task, "evaluation": evaluation})
    splits = Splits({"train": train, "validation": [], "test": scored}, "")
    nothing: Any = None
    return Prepared(
        config=config, task=config.build_task(), splits=splits, report=nothing, sources=[], dropped=[], leaks={}
    )


def test_answers_become_predictions_and_scores() -> None:
    scored = rows("s", 4)
    found = score_baseline(BASELINES["majority"], prepared(rows("a", 2), scored, resamples=100), None, "test")
    assert [p.id for p in found.predictions] == [e.id for e in scored]
    assert {p.answer for p in found.predictions} == {p.written for p in found.predictions} == {"up"}
    assert found.predictions[0].probabilities == pytest.approx(dict.fromkeys(LABELS, 1 / 3))
    assert [p.gold for p in found.predictions] == [e.target for e in scored]
    assert (found.scores["accuracy"].value, found.scores["recall/up"].value) == (pytest.approx(1 / 3), 1.0)
    assert found.scores["confusion/down/up"].value == 4


def test_labels_without_probabilities() -> None:
    scored = rows("s", 1)
    entry = Baseline("oracle", "", learns=False, answer=lambda c: Answers(LABELS))
    found = score_baseline(entry, prepared([], scored), None, "test")
    assert found.scores["accuracy"].value == 1.0
    assert all(p.probabilities == {} and p.confidence == 0 for p in found.predictions)


def test_options_reach_the_intervals() -> None:
    scored = rows("b", 30)
    base, same, narrow = (
        score_baseline(BASELINES["majority"], prepared(rows("a", 3), scored, **o), None, "test").scores["accuracy"]
        for o in ({}, {"resamples": 1000}, {"confidence": 0.5})
    )
    assert base == same
    assert narrow.high - narrow.low < base.high - base.low


def test_the_model_reads_examples_before_each_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    scored, shown, recorder = rows("s", 2), [], Recorder()

    def length(config: Any, base: Any, prompts: Any) -> int:
        shown.append("".join(map(str, prompts)))
        return 1000

    def engine(config: Any, base: Any) -> Recorder:
        assert config.model.max_length == 1000
        return recorder

    monkeypatch.setattr("fintune.evaluation.baselines._length", length)
    monkeypatch.setattr("fintune.evaluation.baselines.engine", engine)
    base: Any = "the base model"
    found = score_baseline(BASELINES["few-shot"], prepared(rows("a", 3), scored, shots=1), base, "test")
    assert shown[0].count("->") == 3
    assert recorder.prompts == [f"{shown[0]}{e.text} ->" for e in scored]
    assert found.scores["answer_loss"].value == pytest.approx(-np.log([0.5, 0.3, 0.2]).mean())
    score_baseline(BASELINES["zero-shot"], prepared([], scored), base, "test")
    assert recorder.prompts == [f"{e.text} ->" for e in scored]

"""What baselines answer is stored and scored like a model's answers."""

from typing import Any

import numpy as np
import pytest

from fintune.evaluation.baselines import compete
from fintune.inference.engines import Ranking
from fintune.records import Prompt
from fintune.tasks.baselines import BASELINES, Answers, Baseline
from tests.tasks.baselines.contests import LABELS, contest, rows


class Recorder:
    """An engine that answers the first candidate and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def rank(self, prompts: Any, candidates: Any, *, stage: str = "score") -> Ranking:
        self.prompts = [str(p) for p in prompts]
        scores = np.log(np.tile([0.5, 0.3, 0.2], (len(prompts), 1)))
        return Ranking(scores, np.ones(3, dtype=np.int64), np.zeros(len(prompts), dtype=np.int64))


def nobody(shown: tuple[Prompt, ...]) -> Any:
    raise AssertionError("this baseline needs no model")


def test_answers_become_predictions_and_scores() -> None:
    scored = rows("s", 4)
    found = compete(BASELINES["majority"], contest(rows("a", 2), [], scored), scored, nobody, resamples=100)
    assert [p.id for p in found.predictions] == [e.id for e in scored]
    assert {p.label for p in found.predictions} == {p.answer for p in found.predictions} == {"up"}
    assert found.predictions[0].probabilities == pytest.approx(dict.fromkeys(LABELS, 1 / 3))
    assert [p.gold for p in found.predictions] == [e.label for e in scored]
    assert (found.scores["accuracy"].value, found.scores["recall/up"].value) == (pytest.approx(1 / 3), 1.0)
    assert found.scores["confusion/down/up"].value == 4


def test_labels_without_probabilities() -> None:
    scored = rows("s", 1)
    entry = Baseline("oracle", "", learns=False, answer=lambda c: Answers(LABELS))
    found = compete(entry, contest([], [], scored), scored, nobody)
    assert found.scores["accuracy"].value == 1.0
    assert all(p.probabilities == {} and p.confidence == 0 for p in found.predictions)


def test_options_reach_the_intervals() -> None:
    scored = rows("b", 30)
    given = contest(rows("a", 3), [], scored)
    base, same, narrow = (
        compete(BASELINES["majority"], given, scored, nobody, **o).scores["accuracy"]
        for o in ({}, {"resamples": 1000}, {"confidence": 0.5})
    )
    assert base == same
    assert narrow.high - narrow.low < base.high - base.low


def test_the_model_reads_examples_before_each_prompt() -> None:
    scored, asked, engine = rows("s", 2), [], Recorder()

    def behind(shown: tuple[Prompt, ...]) -> Recorder:
        asked.append("".join(map(str, shown)))
        return engine

    found = compete(BASELINES["few-shot"], contest(rows("a", 3), [], scored, shots=1), scored, behind)
    assert asked[0].count("->") == 3
    assert engine.prompts == [f"{asked[0]}{e.text} ->" for e in scored]
    assert found.scores["answer_loss"].value == pytest.approx(-np.log([0.5, 0.3, 0.2]).mean())
    compete(BASELINES["zero-shot"], contest([], [], scored), scored, behind)
    assert engine.prompts == [f"{e.text} ->" for e in scored]

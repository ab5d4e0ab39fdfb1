"""Baselines learn from the training part alone and are scored like models."""

from typing import Any

import pytest

from fintune.evaluation import baselines
from fintune.evaluation.baselines import REGULARISATION, majority, tfidf
from fintune.records import Example

LABELS = ["up", "down", "flat"]


def rows(prefix: str, n: int) -> list[Example]:
    words = {"up": "gain", "down": "fall", "flat": "hold"}
    return [Example(f"{prefix}{i}", f"{prefix} {words[label]} {i}", label) for i in range(n) for label in words]


def test_majority_takes_the_most_frequent_training_label() -> None:
    train = [*rows("a", 3), Example("x", "x", "flat")]
    scores = majority(train, rows("b", 4), ["up", "down", "flat"])
    assert scores["recall/flat"].value == 1.0
    assert scores["accuracy"].value == 1 / 3


def test_tfidf_learns_words() -> None:
    scores = tfidf(rows("a", 20), rows("b", 5), rows("c", 5), ["up", "down", "flat"])
    assert scores["accuracy"].value == 1.0
    assert scores["accuracy"].n == 15


def test_tfidf_without_signal_stays_at_chance() -> None:
    blind = [Example(e.id, "same", e.label) for e in rows("a", 10)]
    assert tfidf(blind, blind, blind, ["up", "down", "flat"])["accuracy"].value == 1 / 3


def test_majority_ignores_what_is_scored_and_a_tie_goes_to_the_first() -> None:
    scored = [Example("1", "x", "down"), Example("2", "y", "down"), Example("3", "z", "up")]
    scores = majority(rows("a", 2), scored, LABELS)
    assert (scores["recall/up"].value, scores["recall/down"].value, scores["accuracy"].n) == (1.0, 0.0, 3)
    assert scores["confusion/down/up"].value == 2


def test_options_reach_the_intervals() -> None:
    train, scored = rows("a", 3), rows("b", 30)
    base, same, narrow = (majority(train, scored, LABELS, **o) for o in ({}, {"seed": 0}, {"confidence": 0.5}))
    assert base == same
    assert narrow["accuracy"].high - narrow["accuracy"].low < base["accuracy"].high - base["accuracy"].low
    assert tfidf(train, rows("c", 3), scored, LABELS, resamples=100, seed=3)["accuracy"].value == 1.0


class Constant:
    """Answers one label, whatever the text."""

    def __init__(self, label: str) -> None:
        self.label = label

    def predict(self, texts: list[str]) -> list[str]:
        return [self.label] * len(texts)


@pytest.mark.parametrize("best", LABELS)
def test_regularisation_is_chosen_on_validation_and_fitted_on_training(
    monkeypatch: pytest.MonkeyPatch, best: str
) -> None:
    fitted: list[tuple[Any, float]] = []

    def fit(train: Any, c: float) -> Constant:
        fitted.append((train, c))
        return Constant(LABELS[len(fitted) % 3])

    monkeypatch.setattr(baselines, "_fit", fit)
    train, scored = rows("a", 2), rows("c", 2)
    scores = tfidf(train, [Example("v", "x", best)], scored, LABELS)
    assert fitted == [(train, c) for c in REGULARISATION]
    assert {label: scores[f"recall/{label}"].value for label in LABELS} == {
        label: float(label == best) for label in LABELS
    }


def test_tfidf_is_the_same_every_time() -> None:
    parts = rows("a", 8), rows("b", 4), rows("c", 4)
    assert tfidf(*parts, LABELS) == tfidf(*parts, LABELS)


def test_tfidf_of_texts_without_words() -> None:
    marks = [
        Example(str(i), mark * (1 + i % 3), label) for i in range(9) for mark, label in zip("+-=", LABELS, strict=True)
    ]
    assert tfidf(marks, marks, marks, LABELS)["accuracy"].value == 1.0

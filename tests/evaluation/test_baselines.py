"""Baselines learn from the training part alone and are scored like models."""

from fintune.evaluation.baselines import majority, tfidf
from fintune.records import Example


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

"""Counting baselines learn from the training part alone; strength is chosen on the validation part."""

from typing import Any

import numpy as np
import pytest

from fintune.records import Example
from fintune.tasks.baselines import counts
from fintune.tasks.baselines.counts import majority, tfidf
from fintune.tasks.baselines.linear import REGULARIZATION
from tests.made_records import example
from tests.tasks.baselines.inputs import LABELS, baseline_input, rows


def test_majority_takes_the_most_frequent_training_label_and_its_share() -> None:
    train = [*rows("a", 3), example("x", "x", "flat")]
    found = majority(baseline_input(train, [], rows("b", 4)))
    assert found.answers == ["flat"] * 12
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, np.tile([0.3, 0.3, 0.4], (12, 1)))


def test_a_tie_goes_to_the_first() -> None:
    assert majority(baseline_input(rows("a", 2), [], rows("b", 1))).answers == ["up"] * 3


def test_tfidf_learns_words() -> None:
    scored = rows("c", 5)
    found = tfidf(baseline_input(rows("a", 20), rows("b", 5), scored))
    assert found.answers == [e.target for e in scored]
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert [LABELS[i] for i in found.probabilities.argmax(axis=1)] == found.answers, "columns are the task's labels"


def test_one_letter_of_a_script_without_blanks_tells() -> None:
    """No two letters stand together twice, so that longer pieces say nothing."""
    random = np.random.default_rng(0)

    def chinese(prefix: str, n: int) -> list[Example]:
        letters = "涨跌平"
        beside = ["".join(chr(0x4E00 + c) for c in random.integers(2_000, 20_000, 8)) for _ in range(3 * n)]
        return [example(f"{prefix}{i}", f"{b[:4]}{letters[i % 3]}{b[4:]}", LABELS[i % 3]) for i, b in enumerate(beside)]

    scored = chinese("c", 10)
    found = tfidf(baseline_input(chinese("a", 60), chinese("b", 10), scored))
    assert found.answers == [e.target for e in scored]


def test_tfidf_without_signal_says_one_label() -> None:
    blind = [example(e.id, "same", e.target) for e in rows("a", 10)]
    assert len(set(tfidf(baseline_input(blind, blind, blind)).answers)) == 1


class Constant:
    """Answers one label, whatever the text."""

    classes_ = LABELS

    def __init__(self, label: str) -> None:
        self.label = label

    def predict(self, texts: list[str]) -> list[str]:
        return [self.label] * len(texts)

    def predict_proba(self, texts: list[str]) -> Any:
        return np.tile([float(label == self.label) for label in LABELS], (len(texts), 1))


@pytest.mark.parametrize("best", LABELS)
def test_regularisation_is_chosen_on_validation_and_fitted_on_training(
    monkeypatch: pytest.MonkeyPatch, best: str
) -> None:
    fitted: list[tuple[Any, float]] = []

    def fit(train: Any, c: float) -> Constant:
        fitted.append((train, c))
        return Constant(LABELS[len(fitted) % 3])

    monkeypatch.setattr(counts, "_fit", fit)
    train = rows("a", 2)
    found = tfidf(baseline_input(train, [example("v", "x", best)], rows("c", 2)))
    assert fitted == [(train, c) for c in REGULARIZATION]
    assert found.answers == [best] * 6


def test_tfidf_is_the_same_every_time() -> None:
    given = baseline_input(rows("a", 8), rows("b", 4), rows("c", 4))
    np.testing.assert_array_equal(tfidf(given).probabilities, tfidf(given).probabilities)


def test_tfidf_of_texts_without_words() -> None:
    marks = [
        example(str(i), mark * (1 + i % 3), label) for i in range(9) for mark, label in zip("+-=", LABELS, strict=True)
    ]
    assert tfidf(baseline_input(marks, marks, marks)).answers == [e.target for e in marks]


def test_a_label_that_was_never_seen_has_no_probability() -> None:
    train = [e for e in rows("a", 5) if e.target != "down"]
    found = tfidf(baseline_input(train, train, rows("c", 2)))
    assert found.probabilities is not None
    assert (found.probabilities[:, 1] == 0).all()

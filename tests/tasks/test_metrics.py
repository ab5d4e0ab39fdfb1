"""Every figure against scikit-learn; intervals are seeded, hold the value, and narrow with n."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fintune.tasks.metrics import perplexity
from tests.label_scores import UNPARSED, classification_scores

LABELS = ("a", "b", "c", "d")


def sample(n: int, seed: int, *, unparsed: float = 0.0, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    gold = random.integers(0, k, n)
    predicted = np.where(random.random(n) < 0.7, gold, random.integers(0, 4, n))
    return gold, np.where(random.random(n) < unparsed, UNPARSED, predicted)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("unparsed", "k"), [(0.0, 4), (0.15, 4), (0.0, 2), (0.1, 3)])
def test_figures_equal_scikit_learn(seed: int, unparsed: float, k: int) -> None:
    gold, predicted = sample(60, seed, unparsed=unparsed, k=k)
    scores = classification_scores(gold, predicted, LABELS)
    seen = sorted(set(gold.tolist()) | set(predicted.tolist()) - {UNPARSED})
    options = {"labels": seen, "zero_division": 0}
    expected = {
        "accuracy": reference.accuracy_score(gold, predicted),
        "macro_f1": reference.f1_score(gold, predicted, average="macro", **options),
        "weighted_f1": reference.f1_score(gold, predicted, average="weighted", **options),
        "micro_f1": reference.f1_score(gold, predicted, average="micro", **options),
        "balanced_accuracy": reference.recall_score(
            gold, predicted, labels=sorted(set(gold.tolist())), average="macro", zero_division=0
        ),
        "mcc": reference.matthews_corrcoef(gold, predicted),
        "unparsed": (predicted == UNPARSED).mean(),
    }
    for i, label in enumerate(LABELS):
        for name, values in zip(
            ("precision", "recall", "f1"),
            reference.precision_recall_fscore_support(gold, predicted, labels=[i], average=None, zero_division=0),
            strict=False,
        ):
            expected[f"{name}/{label}"] = values[0]
        expected[f"support/{label}"] = int((gold == i).sum())
        for j, other in enumerate(LABELS):
            expected[f"confusion/{label}/{other}"] = int(((gold == i) & (predicted == j)).sum())
    assert {name: score.value for name, score in scores.items()} == pytest.approx(expected, abs=1e-12)


def test_a_class_neither_asked_nor_answered_does_not_lower_the_mean() -> None:
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    scores = classification_scores(gold, predicted, LABELS)
    assert scores["macro_f1"].value == pytest.approx(reference.f1_score(gold, predicted, average="macro"), abs=1e-12)
    assert (scores["f1/c"].value, scores["confusion/c/c"].value) == (0.0, 0.0)


def test_intervals_hold_the_value_and_are_seeded() -> None:
    gold, predicted = sample(200, 0)
    scores = classification_scores(gold, predicted, LABELS)
    assert scores == classification_scores(gold, predicted, LABELS)
    assert scores != classification_scores(gold, predicted, LABELS, seed=1)
    for score in scores.values():
        assert score.low <= score.value <= score.high
        assert score.n == 200


def test_intervals_are_quantiles_of_scikit_learn_on_the_same_resamples() -> None:
    gold, predicted = sample(50, 5, unparsed=0.1)
    scores = classification_scores(gold, predicted, LABELS, resamples=100, confidence=0.8, seed=7)
    drawn = np.random.default_rng(7).integers(0, 50, size=(100, 50))
    figures = {
        "accuracy": [reference.accuracy_score(gold[rows], predicted[rows]) for rows in drawn],
        "mcc": [reference.matthews_corrcoef(gold[rows], predicted[rows]) for rows in drawn],
        "f1/b": [reference.f1_score(gold[rows], predicted[rows], labels=[1], average="macro") for rows in drawn],
    }
    for name, values in figures.items():
        assert (scores[name].low, scores[name].high) == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_value_however_small_the_sample(seed: int) -> None:
    for n in (1, 2, 3, 10):
        scores = classification_scores(*sample(n, seed, unparsed=0.3), LABELS, resamples=200)
        assert all(score.low <= score.value <= score.high for score in scores.values())


def test_interval_of_accuracy_agrees_with_the_binomial() -> None:
    gold = np.zeros(400, dtype=int)
    predicted = np.array([0] * 320 + [1] * 80)
    score = classification_scores(gold, predicted, ("a", "b"), resamples=4000)["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert score.low == pytest.approx(0.8 - half, abs=0.006), "two standard errors of a quantile of 4,000 resamples"
    assert score.high == pytest.approx(0.8 + half, abs=0.006)


def test_more_examples_or_less_confidence_narrow_the_interval() -> None:
    def width(n: int, confidence: float = 0.95) -> float:
        score = classification_scores(*sample(n, 1), LABELS, confidence=confidence)["macro_f1"]
        return score.high - score.low

    assert width(1000) < width(100) / 2
    assert width(100, 0.5) < width(100) / 2


def test_loss_is_a_mean_over_tokens() -> None:
    scores = classification_scores(
        np.array([0, 1]), np.array([0, 1]), LABELS, loss=np.array([1.0, 5.0]), tokens=np.array([1, 3])
    )
    assert scores["answer_loss"].value == 1.5
    assert scores["perplexity"].value == pytest.approx(np.exp(1.5))
    assert scores["answer_loss"].low == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_perplexity_is_the_exponential_of_the_answer_loss(seed: int) -> None:
    random = np.random.default_rng(seed)
    loss, tokens = random.gamma(2, size=30), random.integers(1, 5, 30)
    scores = classification_scores(*sample(30, seed), LABELS, loss=loss, tokens=tokens)
    assert scores["answer_loss"].value == pytest.approx(loss.sum() / tokens.sum(), rel=1e-12)
    for side in ("value", "low", "high"):  # quantiles are interpolated before exp in one and after it in the other
        rel = 1e-12 if side == "value" else 1e-3
        assert getattr(scores["perplexity"], side) == pytest.approx(
            np.exp(getattr(scores["answer_loss"], side)), rel=rel
        )
    assert "answer_loss" not in classification_scores(*sample(30, seed), LABELS)


def test_perplexity_of_a_hopeless_model_stays_a_number() -> None:
    assert perplexity(1.0) == np.e
    assert perplexity(0.0) == 1.0
    assert 1e300 < perplexity(1e6) < np.inf, "JSON knows no infinity"
    one = np.array([0])
    hopeless = classification_scores(one, one, ("a", "b"), loss=np.array([1e6]), tokens=np.array([1]))
    assert hopeless["perplexity"].value == perplexity(1e6)


def test_unparsed_answers_are_wrong_answers() -> None:
    scores = classification_scores(np.array([0, 0, 1, 1]), np.array([0, UNPARSED, 1, UNPARSED]), ("a", "b"))
    assert (scores["accuracy"].value, scores["unparsed"].value) == (0.5, 0.5)
    assert (scores["precision/a"].value, scores["recall/a"].value) == (1.0, 0.5)
    assert scores["macro_f1"].value == pytest.approx(2 / 3)

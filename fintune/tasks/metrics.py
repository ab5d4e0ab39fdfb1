"""Pure functions from answers to scores with bootstrap intervals.

Everything is computed from confusion counts, so a thousand resamples cost one vectorized pass.

>>> scores = classification_scores(np.array([0, 1]), np.array([0, 1]), ["down", "up"])
>>> scores["accuracy"].value
1.0
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fintune.records import Score, Scores

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNPARSED = -1
_LARGEST = 700.0
"""The largest exponent for which `exp` does not overflow."""


def classification_scores(  # noqa: PLR0913
    gold: Ints,
    predicted: Ints,
    labels: Sequence[str],
    *,
    loss: Floats | None = None,
    tokens: Ints | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Scores:
    """Accuracy, F1 (macro, weighted, per class), MCC, confusion counts and answer loss, each with a percentile interval.

    Shapes: all arrays `(n,)`. `gold` indexes `labels`; `predicted` too, or is UNPARSED. `loss` is the summed negative
    log-likelihood (nats) of each gold answer, `tokens` its length, so that `answer_loss` is a mean over tokens.
    Source: Efron & Tibshirani 1993, percentile bootstrap; MCC for k classes: Gorodkin 2004.
    """
    n, k = len(gold), len(labels)
    if n == 0:
        return {}
    chosen = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    draws = np.vstack([np.arange(n), chosen])  # row 0 is the sample itself
    series = metrics_of(_confusion(gold, predicted, k, draws), labels)
    if loss is not None and tokens is not None:
        mean = loss[draws].sum(axis=1) / tokens[draws].sum(axis=1)
        series |= {"answer_loss": mean, "perplexity": np.exp(np.minimum(mean, _LARGEST))}
    tail = (1 - confidence) / 2
    return {name: _score(values, tail, n) for name, values in series.items()}


def macro_f1(scores: Scores) -> float:
    """Return the metric by which the best epoch is chosen."""
    return scores["macro_f1"].value


def _score(values: Floats, tail: float, n: int) -> Score:
    low, high = np.quantile(values[1:], [tail, 1 - tail]) if len(values) > 1 else (values[0], values[0])
    return Score(float(values[0]), float(low), float(high), n)


def _confusion(gold: Ints, predicted: Ints, k: int, draws: Ints) -> Ints:
    """Return counts of shape `(draws, k, k + 1)`: gold by predicted, the last column for unparsed answers."""
    column = np.where(predicted == UNPARSED, k, predicted)
    cells = (gold * (k + 1) + column)[draws]
    size = k * (k + 1)
    flat = np.bincount((cells + np.arange(len(draws))[:, None] * size).ravel(), minlength=len(draws) * size)
    return flat.reshape(len(draws), k, k + 1)


def metrics_of(counts: Ints, labels: Sequence[str]) -> dict[str, Floats]:
    """Every metric, shape `(draws,)`, of confusion counts `(draws, k, k + 1)`: gold by predicted, the last column unparsed."""
    k = len(labels)
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(float)
    support, answered = counts.sum(axis=2), counts.sum(axis=1)
    f1 = _ratio(2 * hits, support + answered[:, :k])
    seen = (support + answered[:, :k]) > 0
    series = {
        "accuracy": hits.sum(axis=1) / support.sum(axis=1),
        "macro_f1": f1.sum(axis=1) / np.maximum(seen.sum(axis=1), 1),
        "weighted_f1": _ratio((f1 * support).sum(axis=1), support.sum(axis=1)),
        "mcc": _mcc(hits.sum(axis=1), support, answered),
        "unparsed": answered[:, k] / support.sum(axis=1),
    }
    precision, recall = _ratio(hits, answered[:, :k]), _ratio(hits, support)
    for i, label in enumerate(labels):
        series |= {f"precision/{label}": precision[:, i], f"recall/{label}": recall[:, i], f"f1/{label}": f1[:, i]}
    for i, label in enumerate(labels):
        series |= {f"confusion/{label}/{other}": counts[:, i, j].astype(float) for j, other in enumerate(labels)}
    return series


def _mcc(hits: Floats, support: Ints, answered: Ints) -> Floats:
    total = support.sum(axis=1).astype(float)
    padded = np.pad(support, ((0, 0), (0, 1)))
    covariance = hits * total - (answered * padded).sum(axis=1)
    spread = (total**2 - (answered.astype(float) ** 2).sum(axis=1)) * (
        total**2 - (padded.astype(float) ** 2).sum(axis=1)
    )
    return _ratio(covariance, np.sqrt(spread))


def _ratio(top: Floats, bottom: Floats | Ints) -> Floats:
    """Return top / bottom, 0 where the bottom is 0."""
    safe = np.where(bottom == 0, 1, bottom)
    return np.where(bottom == 0, 0.0, top / safe)


def perplexity(loss: float) -> float:
    """exp(loss), bounded where it would overflow."""
    return math.exp(min(loss, _LARGEST))


HEADLINE = ("accuracy", "macro_f1", "mcc")
"""Metrics shown first, here and on the screen."""


_SHOWN = {"mcc": (1, 2), "answer_loss": (1, 3), "perplexity": (1, 3)}
"""Factor and digits of metrics that are not shares."""


def interval(metric: str, score: Score) -> str:
    """`97.4 [95.0, 98.9]` in per cent for shares; MCC, loss and perplexity as they are."""
    factor, digits = _SHOWN.get(metric, (100, 1))
    value, low, high = (f"{factor * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return names of `(score, cost)` that no other beats: none scores as high at less cost, or higher at no more."""

    def beaten(score: float, cost: float) -> bool:
        return any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in points.values())

    return [name for name, point in points.items() if not beaten(*point)]

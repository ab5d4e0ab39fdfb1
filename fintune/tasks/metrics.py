"""How metrics and their intervals are made of series over draws: percentile bootstrap over examples.

>>> bootstrap_weights(3, 1).sum(axis=1).tolist(), scores_of({"accuracy": np.array([0.5, 0.4, 0.6])}, n=2)["accuracy"].value
([3.0, 3.0], 0.5)
"""

import math
from collections.abc import Mapping

import numpy as np

from fintune.records import Score, Scores
from fintune.tasks.arrays import Floats, Ints

_LARGEST = 700.0
"""The largest exponent for which `exp` does not overflow."""
_AT_A_TIME = 20_000_000
"""Number of weights that are drawn at a time."""


def bootstrap_weights(n: int, resamples: int, seed: int = 0) -> Floats:
    """Return how often each of n examples stands in a resample, `(1 + resamples, n)`; row 0 is the sample itself.

    Source: Efron & Tibshirani 1993.
    """
    weights = np.ones((1 + resamples, n))
    random = np.random.default_rng(seed)
    rows = max(1, _AT_A_TIME // max(n, 1))
    for start in range(1, 1 + resamples, rows):
        chosen = random.integers(0, n, size=(min(rows, 1 + resamples - start), n))
        for i, row in enumerate(chosen, start=start):
            weights[i] = np.bincount(row, minlength=n)
    return weights


def loss_series(loss: Floats, tokens: Ints, weights: Floats) -> dict[str, Floats]:
    """Return answer loss and perplexity on each draw: `loss` `(n,)` in nats an answer, `tokens` the length of each."""
    mean = (weights @ loss) / (weights @ tokens)
    return {"answer_loss": mean, "perplexity": np.exp(np.minimum(mean, _LARGEST))}


def scores_of(series: Mapping[str, Floats], *, n: int, confidence: float = 0.95) -> Scores:
    """Return each metric with its percentile interval; position 0 of a series is the sample itself."""
    tail = (1 - confidence) / 2
    return {name: _score(values, tail, n) for name, values in series.items()}


def _score(values: Floats, tail: float, n: int) -> Score:
    low, high = np.quantile(values[1:], [tail, 1 - tail]) if len(values) > 1 else (values[0], values[0])
    return Score(float(values[0]), float(low), float(high), n)


def perplexity(loss: float) -> float:
    """exp(loss), bounded where it would overflow."""
    return math.exp(min(loss, _LARGEST))


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return names of `(score, cost)` that no other beats: none scores as high at less cost, or higher at no more."""

    def beaten(score: float, cost: float) -> bool:
        return any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in points.values())

    return [name for name, point in points.items() if not beaten(*point)]

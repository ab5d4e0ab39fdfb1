"""How sure a model says it is, and how often it is right then.

Example:
    bins = reliability(predictions)
    expected_calibration_error(bins)
    # 0.021
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fintune.records import Answer, Prediction

BINS = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Answers given with a confidence between two bounds."""

    n: int
    confidence: float
    """Mean of what the model said."""
    right: float
    """Share of them that is right."""
    low: float
    """Lower bound of the Wilson interval of that share."""
    high: float
    """Upper bound of it."""


def reliability(predictions: Sequence[Prediction], *, bins: int = BINS, level: float = 0.95) -> list[Bin]:
    """Return bins of equal width over confidence, empty ones left out."""
    sure = np.array([p.confidence for p in predictions])
    right = np.array([p.right for p in predictions])
    where = np.minimum((sure * bins).astype(int), bins - 1)
    return [_bin(sure[where == i], right[where == i], level) for i in range(bins) if (where == i).any()]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean distance of confidence and share right, weighted by count (Guo et al. 2017, arXiv 1706.04599)."""
    return sum(b.n * abs(b.confidence - b.right) for b in bins) / sum(b.n for b in bins)


def histogram(predictions: Sequence[Prediction], *, bins: int = 20) -> list[dict[str, float]]:
    """Return right and wrong answers by confidence."""
    edges = np.linspace(0, 1, bins + 1)
    counts = {
        name: np.histogram([p.confidence for p in predictions if p.right is want], edges)[0]
        for name, want in (("right", True), ("wrong", False))
    }
    return [
        {"from": round(float(edges[i]), 3), "to": round(float(edges[i + 1]), 3)}
        | {name: int(numbers[i]) for name, numbers in counts.items()}
        for i in range(bins)
        if edges[i + 1] > min(p.confidence for p in predictions)
    ]


def surest_mistakes(predictions: Sequence[Prediction], most: int) -> list[Prediction]:
    """Return wrong answers, the most confident first."""
    return sorted((p for p in predictions if not p.right), key=lambda p: -p.confidence)[:most]


def least_sure(predictions: Sequence[Prediction], most: int) -> list[Prediction]:
    """Return the answers whose two most probable labels lie closest together."""
    return sorted(predictions, key=lead)[:most]


def lead(prediction: Prediction) -> float:
    """Return by how much the most probable label leads the next."""
    best = sorted(prediction.probabilities.values(), reverse=True)
    return best[0] - best[1] if len(best) > 1 else 1.0


def confusion(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[list[int]]:
    """Count answers, gold by predicted; the last column counts answers that could not be read."""
    index: dict[Answer | None, int] = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1), dtype=int)
    for p in predictions:
        counts[index[p.gold], index.get(p.answer, len(labels))] += 1
    rows: list[list[int]] = counts.tolist()
    return rows


def _bin(
    sure: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    right: "np.ndarray[tuple[int], np.dtype[np.bool]]",
    level: float,
) -> Bin:
    from scipy.stats import binomtest

    between = binomtest(int(right.sum()), len(right)).proportion_ci(level, method="wilson")
    return Bin(
        n=len(sure),
        confidence=float(sure.mean()),
        right=float(right.mean()),
        low=float(between.low),
        high=float(between.high),
    )

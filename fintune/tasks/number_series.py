"""Metrics of numbers on every draw of the bootstrap.

>>> number_series(np.array([0.0, 1.0]), np.array([0.5, 1.0]), np.ones((1, 2)))["mae"].tolist()
[0.25]
"""

import numpy as np

from fintune.tasks.arrays import Floats


def number_series(gold: Floats, said: Floats, weights: Floats) -> dict[str, Floats]:
    """Return errors and correlations, `(draws,)` each, of values `(n,)` that count as often as `weights` `(draws, n)` say.

    Correlations with what does not vary are 0. Spearman's is Pearson's of mid-ranks within each draw (Kendall 1945).
    """
    n, error = weights.sum(axis=1), gold - said
    squares = weights @ error**2
    mean = (weights @ gold) / n
    spread = (weights * (gold - mean[:, None]) ** 2).sum(axis=1)
    varies = spread > 1e-12 * (weights @ gold**2)
    return {
        "mae": (weights @ np.abs(error)) / n,
        "mse": squares / n,
        "r2": np.where(varies, 1 - squares / np.where(varies, spread, 1), 0.0),
        "pearson": _correlation(gold[None], said[None], weights),
        "spearman": _correlation(_ranks(gold, weights), _ranks(said, weights), weights),
        "cosine": _ratio(weights @ (gold * said), np.sqrt((weights @ gold**2) * (weights @ said**2))),
    }


def _correlation(a: Floats, b: Floats, weights: Floats) -> Floats:
    """Return Pearson's correlation on each draw, of `(draws, n)` or `(1, n)`."""
    n = weights.sum(axis=1, keepdims=True)
    a, b = (values - (weights * values).sum(axis=1, keepdims=True) / n for values in (a, b))
    products = [(weights * x * y).sum(axis=1) for x, y in ((a, b), (a, a), (b, b))]
    return _ratio(products[0], np.sqrt(products[1] * products[2]))


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Return the mid-rank of each value on each draw, `(draws, n)`: values that are equal share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(counts, axis=1) - counts + (counts + 1) / 2
    groups = np.searchsorted(values[order][starts], values)
    return ranks[:, groups]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, 0 where the bottom is as good as 0."""
    small = bottom <= 1e-12
    return np.where(small, 0.0, top / np.where(small, 1.0, bottom))

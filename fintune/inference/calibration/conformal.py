"""Prediction sets that hold the right answer as often as is asked, whatever the model (split conformal prediction).

>>> sets(np.array([[0.7, 0.2, 0.1]]), np.array([0.85, 0.85, 0.85])).tolist()
[[True, True, False]]
"""

import numpy as np

from fintune.tasks.arrays import Bools, Floats, Ints


def quantile(scores: Floats, coverage: float) -> float:
    """Return the score that a share `coverage` of new ones does not exceed; inf where there are too few to say.

    The ceil((n + 1) * coverage)-th smallest (Vovk et al. 2005; Lei et al. 2018).
    """
    place = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else float("inf")


def fit_quantiles(probabilities: Floats, gold: Ints, coverage: float, *, by_class: bool = False) -> Floats:
    """Return the largest 1 - p of a choice that is in a set, `(choices,)`: one for all, or of each class its own (Vovk 2012).

    A class with too few rows has inf: it is in every set.
    """
    scores = 1 - probabilities[np.arange(len(gold)), gold]
    if not by_class:
        return np.full(probabilities.shape[1], quantile(scores, coverage))
    return np.array([quantile(scores[gold == choice], coverage) for choice in range(probabilities.shape[1])])


def sets(probabilities: Floats, quantiles: Floats) -> Bools:
    """Return which choices are in the set of each row, `(n, choices)`; the most probable always is."""
    inside = 1 - probabilities <= quantiles
    inside[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return inside

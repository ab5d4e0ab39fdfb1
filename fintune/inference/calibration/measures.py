"""How far probabilities are from what they promise, with intervals, and how far chance alone would put a perfect model.

>>> sure, right = np.array([0.9] * 10), np.array([True] * 9 + [False])
>>> round(float(calibration_errors(sure, right, np.ones((1, 10)))[0]), 3)
0.0
"""

from collections.abc import Callable, Mapping

import numpy as np

from fintune.inference.calibration.scaling import nll_of
from fintune.records import Scores
from fintune.tasks.arrays import Bools, Floats, Ints
from fintune.tasks.metrics import bootstrapped, scores_of

MASS_BINS = 10
"""Number of bins with equally many answers."""
_FLOOR_DRAWS = 1000


def measures(
    probabilities: Floats, gold: Ints, rows: Ints, *, resamples: int = 1000, confidence: float = 0.95
) -> Scores:
    """Return the share of right answers, NLL, Brier score, ECE (debiased) and classwise ECE, each with its bootstrap interval.

    `probabilities` `(n, choices)`, `gold` `(n,)` the places of the right choices, `rows` `(n,)` as tasks.metrics.rows_of has them.
    """
    return scores_of(bootstrapped(_of_draws(probabilities, gold), rows, resamples), n=len(gold), confidence=confidence)


def gains(
    before: Floats, after: Floats, gold: Ints, rows: Ints, *, resamples: int = 1000, confidence: float = 0.95
) -> Scores:
    """Return by how much each error is less after, and more answers right, paired over resamples; arguments as of `measures`."""
    first, second = _of_draws(before, gold), _of_draws(after, gold)

    def less(weights: Floats) -> Mapping[str, Floats]:
        now = second(weights)
        return {name: now[name] - was if name == "right" else was - now[name] for name, was in first(weights).items()}

    return scores_of(bootstrapped(less, rows, resamples), n=len(gold), confidence=confidence)


def _of_draws(probabilities: Floats, gold: Ints) -> Callable[[Floats], Mapping[str, Floats]]:
    """Return what measures probabilities on resamples, `(draws, n)` weights."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == gold
    log_loss = -np.log(np.maximum(probabilities[np.arange(len(gold)), gold], 1e-12))
    squares = ((probabilities - np.eye(probabilities.shape[1])[gold]) ** 2).sum(axis=1)

    def of_draws(weights: Floats) -> Mapping[str, Floats]:
        mass = weights.sum(axis=1)
        classes = [calibration_errors(column, gold == choice, weights) for choice, column in enumerate(probabilities.T)]
        return {
            "right": weights @ right / mass,
            "nll": weights @ log_loss / mass,
            "brier": weights @ squares / mass,
            "ece": calibration_errors(sure, right, weights),
            "classwise_ece": np.mean(classes, axis=0),
        }

    return of_draws


def errors_of(probabilities: Floats, gold: Ints) -> tuple[float, float]:
    """Return NLL and debiased ECE of probabilities `(n, choices)`; `gold` `(n,)`: places of the right choices."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == gold
    return nll_of(probabilities, gold), float(calibration_errors(sure, right, np.ones((1, len(gold))))[0])


def calibration_errors(sure: Floats, right: Bools, weights: Floats) -> Floats:
    """Return the mean distance of confidence and share right over bins of equal mass, less what chance adds, `(draws,)`.

    `weights` `(draws, n)`, row 0 the sample itself. In each bin twice the distance less the mean distance were it measured once
    more (Kumar et al. 2019, arXiv 1909.10155, section 4; the spread is that of answers as sure as these; a resample spreads by
    both draws).
    """
    bins = np.zeros((len(sure), min(MASS_BINS, max(1, len(sure) // MASS_BINS))))
    for i, members in enumerate(np.array_split(np.argsort(sure, kind="stable"), bins.shape[1])):
        bins[members, i] = 1
    mass = weights @ bins
    held = np.maximum(mass, 1e-12)
    apart = (weights @ (bins * (right - sure)[:, None])) / held
    spread = np.sqrt(weights @ (bins * (sure * (1 - sure))[:, None])) / held
    spread[1:] *= np.sqrt(2)
    errors = (mass * (2 * np.abs(apart) - _mean_distance(apart, spread))).sum(axis=1) / mass.sum(axis=1)
    least_zero: Floats = np.maximum(errors, 0.0)
    return least_zero


def floor(sure: Floats, *, seed: int = 0) -> float:
    """Return the mean `calibration_errors` of a model that is right exactly as often as it says, on as many answers."""
    draws, one = np.random.default_rng(seed), np.ones((1, len(sure)))
    measured = [calibration_errors(sure, draws.random(len(sure)) < sure, one)[0] for _ in range(_FLOOR_DRAWS)]
    return float(np.mean(measured))


def _mean_distance(mean: Floats, spread: Floats) -> Floats:
    """Return the mean of |x| for x normal about `mean` (folded normal distribution: Leone et al. 1961)."""
    from scipy.stats import norm

    widths = np.maximum(spread, 1e-12)
    far: Floats = mean / widths
    distances: Floats = widths * (np.sqrt(2 / np.pi) * np.exp(-(far**2) / 2) + far * (1 - 2 * norm.cdf(-far)))
    return distances

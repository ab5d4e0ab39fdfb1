"""How sure a model must be for its answer to stand: thresholds with a proof, and what they leave to a person.

>>> needed_without_error(0.005)
598
"""

from dataclasses import dataclass

import numpy as np

from fintune.tasks.arrays import Bools, Floats, Ints

_STARTS = (0.2, 0.4, 0.6, 0.8)
"""Shares of the rows at which a sequence of tests begins."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A confidence from which on answers are accepted, and what is known of these."""

    confidence: float
    accepted: int
    errors: int
    rows: int
    """Number of rows it was chosen on, one a near-duplicate cluster."""
    bound: float
    """Upper bound of the share of errors among accepted answers."""
    level: float
    """Probability with which the bound holds."""

    @property
    def coverage(self) -> float:
        """Share of the rows that are accepted."""
        return self.accepted / self.rows


def needed_without_error(most: float, level: float = 0.95) -> int:
    """Return how many answers, all right, it takes to show that at most a share `most` is wrong: (1 - most)^n <= 1 - level."""
    return int(np.ceil(np.log(1 - level) / np.log(1 - most) - 1e-9))


def upper_bounds(errors: Ints, n: Ints, level: float = 0.95) -> Floats:
    """Return one-sided upper bounds of shares, `(tests,)`: `errors` of `n` each (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    bounds: Floats = np.where(errors >= n, 1.0, beta.ppf(level, errors + 1, np.maximum(n - errors, 1)))
    return bounds


def certify(sure: Floats, right: Bools, most: float, level: float = 0.95) -> Threshold | None:
    """Return the lowest confidence above which at most a share `most` of answers is wrong, at `level`; None where none is shown.

    Fixed-sequence testing (Learn then Test: Angelopoulos et al. 2021, arXiv 2110.01052): from a start the next lower confidence is
    tested as long as all before have passed. Starts and steps are counts of rows, chosen before any answer is looked at; given a
    confidence, the answers above it are independent. Four starts share the level (Bonferroni), so that one early error costs one.
    """
    n, order = len(sure), np.argsort(-sure, kind="stable")
    starts = _starts(n, most, level)
    each = 1 - (1 - level) / max(1, len(starts))
    counts = np.append(np.flatnonzero(np.diff(sure[order])), n - 1) + 1  # equal confidences are accepted together
    errors = np.cumsum(~right[order])[counts - 1]
    bounds = upper_bounds(errors, counts, each)
    last = max((_last_passed(bounds <= most, int(np.searchsorted(counts, start))) for start in starts), default=-1)
    if last < 0:
        return None
    return Threshold(
        confidence=float(sure[order][counts[last] - 1]), accepted=int(counts[last]), errors=int(errors[last]), rows=n,
        bound=float(bounds[last]), level=level,
    )  # fmt: skip


def _starts(n: int, most: float, level: float) -> list[int]:
    """Return the counts of rows at which sequences begin, none too small to pass without an error."""
    least = needed_without_error(most, 1 - (1 - level) / len(_STARTS))
    starts = sorted({max(least, int(share * n)) for share in _STARTS})
    if fitting := [start for start in starts if start <= n]:
        return fitting
    return [n] if needed_without_error(most, level) <= n else []


def _last_passed(passes: Bools, start: int) -> int:
    """Return the place of the last test that passes with all before it, from a start on; -1 where the first does not."""
    failed = np.flatnonzero(~passes[start:])
    last = start + (failed[0] if len(failed) else len(passes) - start) - 1
    return int(last) if last >= start else -1


def risk_coverage(sure: Floats, right: Bools) -> tuple[Floats, Floats]:
    """Return coverage and share of errors among accepted answers, `(n,)` each, the surest first (El-Yaniv & Wiener 2010)."""
    order = np.argsort(-sure, kind="stable")
    counts = np.arange(1, len(sure) + 1)
    return counts / len(sure), np.cumsum(~right[order]) / counts


def area_under_risk(sure: Floats, right: Bools) -> float:
    """Return AURC, the mean share of errors over all coverages (Geifman et al. 2019)."""
    return float(risk_coverage(sure, right)[1].mean())


def cheapest(probabilities: Floats, costs: Floats) -> tuple[Ints, Floats]:
    """Return the decision of least expected cost, `(n,)`, and that cost.

    `probabilities` `(n, choices)`; `costs` `(choices, decisions)`: what a decision costs where the row's choice is right.
    """
    expected = probabilities @ costs
    decisions = expected.argmin(axis=1)
    return decisions, expected[np.arange(len(decisions)), decisions]

"""A run's calibration fitted again on labeled rows of another source, and what that is worth on the source's other rows.

Example:
    recalibrate(Run.open("runs/phrasebank-fast"), "posts.csv", score_file(run, "posts.csv").predictions, rows=200).gains["nll"]
    # Score(value=0.21, low=0.12, high=0.31, n=800)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fintune.data.quality.duplicates import clusters, twins
from fintune.errors import DataError, UsageError
from fintune.evaluation.calibrate import FEWEST_TO_FIT, CalibrationOptions, fit, store
from fintune.evaluation.score import prepared_again
from fintune.inference.calibration.measures import gains, measures
from fintune.inference.calibration.record import Calibration, as_matrix, of_run, places_of
from fintune.records import Prediction, Scores
from fintune.runs.run import Run
from fintune.runtime.printable import one_line
from fintune.tasks.arrays import Bools
from fintune.tasks.metrics import rows_of

FEWEST_LEFT = 50
"""Rows below which nothing is said of a gain."""


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """A calibration of another source, and scores on rows of it that the map was not fitted on."""

    calibration: Calibration
    known: int
    """Rows left out: they, or near-duplicates of them, stand in what the run learned from or chose by."""
    left: int
    """Rows that the scores are of."""
    before: Scores
    """As the run answered until now, with its calibration if it had one."""
    after: Scores
    gains: Scores
    """By how much each error is less, and answers are more often right."""

    def record(self) -> dict[str, object]:
        """Return it as JSON has it."""
        scores = {name: asdict(self)[name] for name in ("before", "after", "gains")}
        return {**self.calibration.model_dump(mode="json"), "known": self.known, "left": self.left, **scores}


def recalibrate(
    run: Run, path: str, predictions: Sequence[Prediction], rows: int | None, options: CalibrationOptions | None = None
) -> Recalibration:
    """Fit a run's calibration on `rows` rows of another source, drawn at random (None: half of them), and write it.

    `predictions`: raw answers to the source's rows. Raises DataError or UsageError where rows are too few; nothing is written then.
    """
    task = run.config().build_task()
    new = _not_known(run, predictions)
    fitted = _drawn([p.text for p in new], _need_rows(path, len(new), rows))
    on, rest = (
        [p for p, inside in zip(new, fitted.tolist(), strict=True) if inside is which] for which in (True, False)
    )
    former = of_run(run)
    calibration = fit(on, task, one_line(path), run, options or CalibrationOptions())
    raw, gold = as_matrix(rest, calibration.choices), places_of(rest, calibration.choices)
    before, after = raw if former is None else former.probabilities(raw), calibration.probabilities(raw)
    clustered = rows_of(rest)
    store(run, calibration)
    return Recalibration(
        calibration=calibration,
        known=len(predictions) - len(new),
        left=len(rest),
        before=measures(before, gold, clustered),
        after=measures(after, gold, clustered),
        gains=gains(before, after, gold, clustered),
    )


def _not_known(run: Run, predictions: Sequence[Prediction]) -> list[Prediction]:
    parts = prepared_again(run).splits
    learned = [example.text for part in ("train", "validation") for example in parts[part]]
    known = twins([one.text for one in predictions], learned)
    return [one for one, twin in zip(predictions, known.tolist(), strict=True) if not twin]


def _need_rows(path: str, n: int, rows: int | None) -> int:
    """Return how many rows to fit on. Raises DataError or UsageError where they, or those left, are too few."""
    most = n - FEWEST_LEFT
    if most < FEWEST_TO_FIT:
        raise DataError(
            f"{path}: {n} rows that the run has not learned from, and {FEWEST_TO_FIT + FEWEST_LEFT} are the least",
            hint=f"{FEWEST_TO_FIT} to fit on, and {FEWEST_LEFT} to say what it gained. Label more.",
        )
    if rows is not None and not FEWEST_TO_FIT <= rows <= most:
        raise UsageError(
            f"--rows {rows}: {path} has {n} rows that the run has not learned from",
            hint=f"Give {FEWEST_TO_FIT} to {most}: {FEWEST_LEFT} are left to say what it gained.",
        )
    return max(FEWEST_TO_FIT, n // 2) if rows is None else rows


def _drawn(texts: Sequence[str], rows: int) -> Bools:
    """Return which rows are fitted on, `(n,)`: whole clusters of near-duplicates, at random, up to so many rows."""
    groups = clusters(texts)
    sizes = np.bincount(groups)
    chosen: list[int] = []
    total = 0
    for group in np.random.default_rng(0).permutation(len(sizes)).tolist():
        if total + sizes[group] <= rows:
            chosen.append(group)
            total += int(sizes[group])
    return np.isin(groups, chosen)

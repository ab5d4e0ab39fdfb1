"""A run's stored answers, out of fold or on validation, to its calibration.json: nothing is read that the model learned from.

Example:
    calibrate(Run.open("runs/phrasebank-fast"))
    # Calibration(scaling=Temperature(temperature=1.31), ...)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fintune.data.quality.duplicates import clusters
from fintune.errors import DataError, UsageError
from fintune.inference.calibration.abstention import certify
from fintune.inference.calibration.conformal import fit_quantiles
from fintune.inference.calibration.measures import floor, measures
from fintune.inference.calibration.record import (
    CALIBRATION_VERSION,
    Calibration,
    FittedRows,
    PredictionSets,
    as_matrix,
    certified,
    model_of,
    places_of,
    stored_quantiles,
)
from fintune.inference.calibration.scaling import SCALINGS
from fintune.records import Prediction
from fintune.runs import manifest
from fintune.runs.files import CALIBRATION, OUT_OF_FOLD
from fintune.runs.run import Run
from fintune.runs.score_record import plain_scores
from fintune.tasks import Task
from fintune.tasks.arrays import Floats, Ints
from fintune.tasks.metrics import rows_of

FEWEST_TO_FIT = 50
"""Rows below which no map is fitted."""
MAX_ERRORS = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of errors that thresholds are looked for without being asked."""
_PARTS = 5


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """What is asked of a calibration."""

    scaling: str | None = None
    """One of SCALINGS; None: that of least cross-fitted loss."""
    max_errors: Sequence[float] = ()
    level: float = 0.95
    coverage: float = 0.95
    by_class: bool = False


def calibrate(run: Run, options: CalibrationOptions | None = None) -> Calibration:
    """Fit a run's calibration on answers to rows that it has not learned from, and write it. Raises DataError or UsageError."""
    manifest.need_unchanged(run)
    task = run.config().build_task()
    part = OUT_OF_FOLD if run.has_predictions(OUT_OF_FOLD) else "validation"
    fitted = fit(run.predictions(part), task, part, run, options or CalibrationOptions())
    store(run, fitted)
    return fitted


def store(run: Run, calibration: Calibration) -> None:
    """Write a run's calibration.json."""
    run.write_text(CALIBRATION, calibration.text())


def fit(predictions: Sequence[Prediction], task: Task, part: str, run: Run, options: CalibrationOptions) -> Calibration:
    """Return the calibration that labeled answers come to."""
    choices = _need_choices(task)
    gold = _need_rows(predictions, choices, part)
    raw = as_matrix(predictions, choices)
    groups = clusters([one.text for one in predictions])
    chosen, losses, corrected = _chosen(raw, gold, groups, options.scaling)
    first = np.unique(groups, return_index=True)[1]
    sure, right = corrected.max(axis=1)[first], (corrected.argmax(axis=1) == gold)[first]
    levels = sorted({*MAX_ERRORS, *options.max_errors})
    thresholds = {most: certify(sure, right, most, options.level) for most in levels}
    rows = rows_of(predictions)
    return Calibration(
        version=CALIBRATION_VERSION,
        model=model_of(run),
        rows=FittedRows(
            part=part, texts=len(predictions), clusters=len(first), labels=dict(Counter(str(p.gold) for p in predictions))
        ),
        choices=tuple(choices),
        scaling=SCALINGS[chosen].fit(raw, gold),
        losses=losses,
        changed=int((corrected.argmax(axis=1) != raw.argmax(axis=1)).sum()),
        raw=plain_scores(measures(raw, gold, rows)),
        calibrated=plain_scores(measures(corrected, gold, rows)),
        floors={"raw": floor(raw.max(axis=1)), "calibrated": floor(corrected.max(axis=1))},
        thresholds=tuple(certified(most, one) for most, one in thresholds.items() if one is not None),
        uncertified=tuple(most for most, one in thresholds.items() if one is None),
        sets=PredictionSets(
            coverage=options.coverage,
            by_class=options.by_class,
            quantiles=stored_quantiles(fit_quantiles(corrected[first], gold[first], options.coverage, by_class=options.by_class)),
        ),
    )  # fmt: skip


def _chosen(raw: Floats, gold: Ints, groups: Ints, name: str | None) -> tuple[str, dict[str, float], Floats]:
    """Return the map to use, what each loses on rows it was not fitted on, and that map's probabilities of such rows.

    The simplest within a standard error of the best (paired over rows; Breiman et al. 1984).
    """
    by_map = {entry: cross_fitted(raw, gold, groups, entry) for entry in SCALINGS}
    rows = np.arange(len(gold))
    losses = {entry: -np.log(np.maximum(p[rows, gold], 1e-12)) for entry, p in by_map.items()}
    means = {entry: float(loss.mean()) for entry, loss in losses.items()}
    best = min(means, key=lambda entry: means[entry])

    def near(entry: str) -> bool:
        behind = losses[entry] - losses[best]
        return bool(behind.mean() <= behind.std(ddof=1) / np.sqrt(len(behind)))

    chosen = name or next(entry for entry in SCALINGS if near(entry))
    return chosen, means, by_map[chosen]


def cross_fitted(raw: Floats, gold: Ints, groups: Ints, name: str) -> Floats:
    """Return each row's probabilities by a map fitted on other clusters."""
    from sklearn.model_selection import StratifiedGroupKFold

    corrected = np.empty_like(raw)
    parts = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=0).split(raw, gold, groups)
    for fitted, held in parts:
        corrected[held] = SCALINGS[name].fit(raw[fitted], gold[fitted])(raw[held])
    return corrected


def _need_choices(task: Task) -> list[str]:
    choices = task.choices()
    if task.kind != "labels" or not choices:
        raise UsageError(
            f"task {task.name}: its answers are no labels, so there are no confidences to calibrate",
            hint="Calibrate a run of classification or sentiment.",
        )
    return list(choices)


def _need_rows(predictions: Sequence[Prediction], choices: Sequence[str], part: str) -> Ints:
    """Return places of the right choices. Raises DataError for too few rows, or a label without any."""
    more = "Add rows, or make out-of-fold answers of the training part: --folds 5."
    if len(predictions) < FEWEST_TO_FIT:
        raise DataError(
            f"{part}: {len(predictions)} rows to calibrate on, and {FEWEST_TO_FIT} are the least", hint=more
        )
    gold = places_of(predictions, choices)
    if lacking := [name for i, name in enumerate(choices) if not (gold == i).any()]:
        raise DataError(f"{part}: no row of label '{lacking[0]}' to calibrate on", hint=more)
    return gold

"""What a calibration promises, in sentences that a risk officer can read.

Example:
    sentences(of_run(run))[0]
    # 'Rests on 1,807 texts that no model had learned from (out of fold, 1,790 clusters of near-duplicates).'
"""

from fintune.inference.calibration.abstention import needed_without_error
from fintune.inference.calibration.record import Calibration, CertifiedThreshold
from fintune.inference.calibration.scaling import SCALINGS
from fintune.runs.files import OUT_OF_FOLD


def sentences(calibration: Calibration) -> list[str]:
    """Return what it rests on, what was done to the probabilities, and what may be relied on."""
    promised = [_promise(one) for one in calibration.thresholds]
    return [_ground(calibration), _map(calibration), *promised, *_not_shown(calibration), _sets(calibration)]


def _ground(calibration: Calibration) -> str:
    rows = calibration.rows
    which = "out of fold" if rows.part == OUT_OF_FOLD else rows.part
    twins = f", {rows.clusters:,} clusters of near-duplicates" if rows.clusters < rows.texts else ""
    return f"Rests on {rows.texts:,} texts that the model had not learned from ({which}{twins})."


def _map(calibration: Calibration) -> str:
    name = calibration.scaling.name
    what = (
        "Probabilities stay as they are" if name == "none" else f"Probabilities are mapped by {SCALINGS[name].summary}"
    )
    changed = (
        f"; it changes {calibration.changed:,} of {calibration.rows.texts:,} answers" if calibration.changed else ""
    )
    return f"{what}{changed}."


def _promise(one: CertifiedThreshold) -> str:
    return (
        f"From confidence {one.confidence:.1%} on it erred in {one.errors:,} of {one.accepted:,} answers ({one.coverage:.1%} of all);"
        f" with {one.level:.0%} confidence it errs there in at most {_per_cent(one.max_error)}."
    )


def _not_shown(calibration: Calibration) -> list[str]:
    if not calibration.uncertified:
        return []
    strictest = max(calibration.uncertified)
    return [
        f"At most {_per_cent(strictest)} of errors, or fewer, is not shown by these rows at any confidence (without a single error"
        f" it would take {needed_without_error(strictest):,} accepted answers)."
    ]


def _sets(calibration: Calibration) -> str:
    promised_set = calibration.sets
    each = " of each label" if promised_set.by_class else ""
    return f"A set of labels is given with each answer that holds the right one {_per_cent(promised_set.coverage)} of the time{each}."


def _per_cent(value: float) -> str:
    return f"{100 * value:.3g} %"

"""What a run's calibration rests on and promises, in sentences of the page.

Example:
    calibration_view(run)[0]
    # 'Rests on 1,807 texts that the model had not learned from (out of fold).'
"""

from markupsafe import Markup

from fintune.inference.calibration.abstention import needed_without_error
from fintune.inference.calibration.record import Calibration
from fintune.report.run_files import RunFiles
from fintune.report.words import both, count, percent
from fintune.runs.files import OUT_OF_FOLD


def calibration_view(run: RunFiles) -> list[Markup]:
    """Return sentences that a risk officer can read; none where there is no calibration."""
    if (calibration := run.calibration) is None:
        return []
    promises = [
        both(
            "calibration.promise", confidence=percent(one.confidence), accepted=count(one.accepted), errors=count(one.errors),
            coverage=percent(one.coverage), level=percent(one.level, 0), most=percent(one.max_error),
        )
        for one in calibration.thresholds
    ]  # fmt: skip
    return [*_grounds(calibration), *promises, *_rest(calibration)]


def _grounds(calibration: Calibration) -> list[Markup]:
    rows, scaling = calibration.rows, calibration.scaling.name
    where = (lambda t: t("calibration.oof")) if rows.part == OUT_OF_FOLD else rows.part
    before, after = calibration.raw, calibration.calibrated
    return [
        both("calibration.ground", n=count(rows.texts), clusters=count(rows.clusters), where=where),
        both("calibration.map", how=lambda t: t(f"scaling.{scaling}"), changed=count(calibration.changed)),
        both(
            "calibration.errors", nll=f"{before['nll']['value']:.3f}", new_nll=f"{after['nll']['value']:.3f}",
            ece=f"{before['ece']['value']:.3f}", new_ece=f"{after['ece']['value']:.3f}", floor=f"{calibration.floors['calibrated']:.3f}",
        ),
    ]  # fmt: skip


def _rest(calibration: Calibration) -> list[Markup]:
    promised = both("calibration.sets", coverage=percent(calibration.sets.coverage))
    if not calibration.uncertified:
        return [promised]
    most = max(calibration.uncertified)
    return [both("calibration.unshown", most=percent(most), needed=count(needed_without_error(most))), promised]

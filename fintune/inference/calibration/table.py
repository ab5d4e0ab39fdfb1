"""A calibration on a terminal."""

from fintune.inference.calibration.record import Calibration
from fintune.runs.schema import ScoreRecord
from fintune.runtime.layout import Table

CONFIDENCE_TITLES = {
    "right": "right answers",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "classwise_ece": "classwise ECE",
}


def errors_table(calibration: Calibration) -> Table:
    """Return what probabilities are worth before and after, on rows that the map was not fitted on."""
    table = Table("calibration, on rows that the map was not fitted on; floor: ECE of a perfect one as sure, by chance")
    for title in ("", "before", "after"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for name, title in CONFIDENCE_TITLES.items():
        table.add_row(title, _interval(calibration.raw[name]), _interval(calibration.calibrated[name]))
    table.add_row("floor of ECE", *(f"{calibration.floors[which]:.3f}" for which in ("raw", "calibrated")))
    return table


def _interval(score: ScoreRecord) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"

"""What probabilities are worth before and after calibration, on a terminal."""

from collections.abc import Sequence

from fintune.inference.calibration.record import Calibration
from fintune.records import Score, Scores
from fintune.runs.score_record import scores_in
from fintune.runtime.layout import Table

CONFIDENCE_TITLES = {
    "right": "right answers",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "classwise_ece": "classwise ECE",
}


def calibration_table(calibration: Calibration) -> Table:
    """Return what probabilities are worth before and after, on rows that the map was not fitted on."""
    scores = scores_in({"before": calibration.raw, "after": calibration.calibrated})
    floors = [calibration.floors[which] for which in ("raw", "calibrated")]
    title = "calibration, on rows that the map was not fitted on"
    return errors_table(title, scores["before"], scores["after"], floors)


def errors_table(title: str, before: Scores, after: Scores, floors: Sequence[float]) -> Table:
    """Return each measure before and after; `floors`: the ECE that chance alone would show of either."""
    table = Table(title)
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, heading in CONFIDENCE_TITLES.items():
        table.add_row(heading, figures(before[name]), figures(after[name]))
    table.add_row("ECE of a perfect one", *(f"{floor:.3f}" for floor in floors))
    return table


def figures(score: Score) -> str:
    """Return a measure and its interval."""
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"

"""What probabilities are worth before and after calibration, on a terminal."""

from collections.abc import Sequence

from fintune.records import Score, Scores
from fintune.runtime.layout import Table

CONFIDENCE_TITLES = {
    "right": "right answers",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "classwise_ece": "classwise ECE",
}


def errors_table(title: str, before: Scores, after: Scores, floors: Sequence[float]) -> Table:
    """Return each measure before and after; `floors`: the ECE that chance alone would show of either."""
    table = Table(title)
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, heading in CONFIDENCE_TITLES.items():
        table.add_row(heading, _interval(before[name]), _interval(after[name]))
    table.add_row("ECE of a perfect one", *(f"{floor:.3f}" for floor in floors))
    return table


def _interval(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"

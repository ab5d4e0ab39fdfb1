"""What a run's calibration is worth on labeled answers, its own or another source's.

Example:
    check_confidence(of_run(run), task, run.predictions("test")).calibrated["ece"]
    # Score(value=0.011, low=0.004, high=0.024, n=452)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fintune.inference.calibration.measures import floor, measures
from fintune.inference.calibration.record import Calibration, as_matrix, places_of
from fintune.records import Prediction, Scores
from fintune.tasks import Task
from fintune.tasks.metrics import rows_of


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What a threshold lets pass here."""

    max_error: float
    """What was promised where it was calibrated."""
    accepted: int
    errors: int
    texts: int


@dataclass(frozen=True, kw_only=True)
class ConfidenceCheck:
    """Probabilities before and after, and what passes each threshold."""

    raw: Scores
    calibrated: Scores
    raw_floor: float
    floor: float
    """ECE that a perfectly calibrated model as sure, before and after, shows on as many texts."""
    accepted: Sequence[Accepted]

    def record(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self)


def check_confidence(calibration: Calibration, task: Task, predictions: Sequence[Prediction]) -> ConfidenceCheck:
    """Return what a calibration is worth on predictions whose gold answers are known."""
    applied = calibration.applied(predictions, task)
    gold = places_of(predictions, calibration.choices)
    raw, corrected = (as_matrix(ones, calibration.choices) for ones in (predictions, applied))
    rows = rows_of(predictions)
    return ConfidenceCheck(
        raw=measures(raw, gold, rows),
        calibrated=measures(corrected, gold, rows),
        raw_floor=floor(raw.max(axis=1)),
        floor=floor(corrected.max(axis=1)),
        accepted=[_accepted(applied, one.confidence, one.max_error) for one in calibration.thresholds],
    )


def _accepted(applied: Sequence[Prediction], confidence: float, max_error: float) -> Accepted:
    passed = [one for one in applied if one.confidence >= confidence]
    wrong = sum(not one.right for one in passed)
    return Accepted(max_error=max_error, accepted=len(passed), errors=wrong, texts=len(applied))

"""A run's calibration.json: how its probabilities are corrected, what may be promised of them, and on which rows that rests.

Example:
    calibration = of_run(Run.open("runs/phrasebank-fast"))
    calibration.probabilities(np.array([[0.9, 0.05, 0.05]]))
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintune.errors import RunError, UsageError
from fintune.inference.calibration.abstention import Threshold, needed_without_error
from fintune.inference.calibration.conformal import sets
from fintune.inference.calibration.measures import errors_of
from fintune.inference.calibration.rules import Rule
from fintune.inference.calibration.scaling import Scaling
from fintune.records import Prediction
from fintune.runs.export_schema import ConfidenceRecord
from fintune.runs.exported import Export
from fintune.runs.files import CALIBRATION
from fintune.runs.run import Run
from fintune.runs.schema import ScoreRecord, first_problem
from fintune.runtime.shell import typed
from fintune.runtime.untrusted import parse_object, read_text
from fintune.tasks import Task
from fintune.tasks.arrays import Floats, Ints

CALIBRATION_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class FittedModel(_Record):
    """Which model the answers came from that it was fitted on."""

    adapter_sha256: str
    base_sha256: str | None


class FittedRows(_Record):
    """On what it rests."""

    part: str
    """Name of the part: oof (out of fold, of train and validation) or validation."""
    texts: int
    clusters: int
    """Number of clusters of near-duplicates among them, each of which counts once where something is promised."""
    labels: dict[str, int]


class CertifiedThreshold(_Record):
    """A Threshold, and what it was asked for."""

    max_error: float
    confidence: float
    accepted: int
    errors: int
    rows: int
    bound: float
    level: float

    @property
    def coverage(self) -> float:
        """Share of the rows that are accepted."""
        return self.accepted / self.rows


class PredictionSets(_Record):
    """What makes a set of labels hold the right one."""

    coverage: float
    by_class: bool
    quantiles: tuple[float | Literal["inf"], ...]


class Calibration(_Record):
    """The content of calibration.json."""

    version: int
    model: FittedModel
    rows: FittedRows
    choices: tuple[str, ...]
    scaling: Scaling
    losses: dict[str, float]
    """NLL of each map on rows it was not fitted on."""
    changed: int
    """Number of answers that are others after the map."""
    raw: dict[str, ScoreRecord]
    calibrated: dict[str, ScoreRecord]
    """On rows that the map was not fitted on."""
    floors: dict[str, float]
    """The ECE that a perfectly calibrated model as sure as this one shows on as many rows, raw and calibrated."""
    thresholds: tuple[CertifiedThreshold, ...]
    uncertified: tuple[float, ...] = Field(description="Shares of errors that the rows could not show")
    sets: PredictionSets

    def text(self) -> str:
        """Return the file's content."""
        return self.model_dump_json(indent=1) + "\n"

    def probabilities(self, raw: Floats) -> Floats:
        """Return probabilities as they should be, `(n, choices)`."""
        return self.scaling(raw)

    def applied(
        self, predictions: Sequence[Prediction], task: Task | None = None, rule: Rule | None = None
    ) -> list[Prediction]:
        """Return predictions with calibrated probabilities, sets, and where there is a rule, its answer and whether it abstains.

        Without a task the answer is the most probable choice.
        """
        if not predictions:
            return []
        corrected = self.probabilities(as_matrix(predictions, self.choices))
        inside = sets(corrected, self._quantiles())
        sure = [
            self._applied(one, task, row, held)
            for one, row, held in zip(predictions, corrected, inside.tolist(), strict=True)
        ]
        if rule is None:
            return sure
        own = np.array([self.choices.index(str(one.answer)) for one in sure])
        decided = zip(sure, *(one.tolist() for one in rule(corrected, own)), strict=True)
        return [replace(one, answer=self.choices[place], abstain=abstain) for one, place, abstain in decided]

    def kept(self, task: Task, stored: Sequence[Prediction], answers: Sequence[Prediction]) -> ConfidenceRecord | None:
        """Return what it makes of a rebuilt model's answers, and of those stored; None where no gold answers are known."""
        if any(one.gold is None for one in stored):
            return None
        gold = places_of(stored, self.choices)
        (nll, ece), (nll_of_run, ece_of_run) = (
            errors_of(as_matrix(self.applied(ones, task), self.choices), gold) for ones in (answers, stored)
        )
        return {"nll": nll, "nll_of_run": nll_of_run, "ece": ece, "ece_of_run": ece_of_run}

    def threshold(self, max_error: float, first: str) -> float:
        """Return the confidence from which on at most so large a share is wrong; `first`: how it is calibrated for another.

        Raises UsageError where nothing shows one.
        """
        for one in self.thresholds:
            if one.max_error == max_error:
                return one.confidence
        if max_error in self.uncertified:
            raise UsageError(
                f"--max-error {max_error:.3g}: {self.rows.texts:,} rows do not show so few errors at any confidence",
                hint=f"It takes {needed_without_error(max_error):,} accepted without one; ask for less, or calibrate on more rows.",
            )  # fmt: skip
        known = ", ".join(f"{one.max_error:.3g}" for one in self.thresholds) or "none"
        raise UsageError(
            f"--max-error {max_error:.3g}: not calibrated for it (for: {known})",
            hint=f"{first} (with --max-error {100 * max_error:g}%)",
        )

    def _quantiles(self) -> Floats:
        return np.array([float(one) for one in self.sets.quantiles])

    def _applied(self, one: Prediction, task: Task | None, row: Floats, held: Sequence[bool]) -> Prediction:
        shares = dict(zip(self.choices, map(float, row), strict=True))
        answer = self.choices[int(row.argmax())] if task is None else task.decide(shares, one.example)
        return replace(
            one, answer=answer, probabilities=shares,
            labels=tuple(name for name, inside in zip(self.choices, held, strict=True) if inside),
        )  # fmt: skip


def certified(max_error: float, threshold: Threshold) -> CertifiedThreshold:
    """Return a threshold as it is stored."""
    return CertifiedThreshold(
        max_error=max_error,
        confidence=threshold.confidence,
        accepted=threshold.accepted,
        errors=threshold.errors,
        rows=threshold.rows,
        bound=threshold.bound,
        level=threshold.level,
    )


def stored_quantiles(quantiles: Floats) -> tuple[float | Literal["inf"], ...]:
    """Return quantiles as JSON has them."""
    return tuple(float(one) if np.isfinite(one) else "inf" for one in quantiles)


def of_run(run: Run) -> Calibration | None:
    """Return a run's calibration; None where it has none. Raises RunError for a damaged one, or another model's."""
    again = f"Make it anew: fintune calibrate {typed(run.folder)}; or remove the file."
    return _made_for(run.folder / CALIBRATION, lambda: model_of(run), again)


def of_export(export: Export) -> Calibration | None:
    """Return the calibration that went with an export; None where it has none. Raises RunError as of_run does."""
    again = "Export it again, with --overwrite."
    return _made_for(export.folder / CALIBRATION, lambda: _model_in(export), again)


def _made_for(path: Path, model: Callable[[], FittedModel], again: str) -> Calibration | None:
    if not path.is_file():
        return None
    calibration = read(path)
    if calibration.model != model():
        raise RunError(f"{path}: made for another model than this one (sha256 differs)", hint=again)
    return calibration


def read(path: Path) -> Calibration:
    """Return a calibration.json. Raises RunError when it is damaged, or a newer FinTune's."""
    try:
        content = parse_object(read_text(path))
        if isinstance(version := content.get("version"), int) and version > CALIBRATION_VERSION:
            raise RunError(
                f"{path}: version {version}, and this FinTune reads up to {CALIBRATION_VERSION}",
                hint="Use a newer FinTune.",
            )
        return Calibration.model_validate_json(read_text(path))
    except (ValidationError, ValueError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise RunError(f"{path}: damaged: {problem}", hint="Calibrate the run again, or remove the file.") from None


def model_of(run: Run) -> FittedModel:
    """Return what a calibration of a run is for."""
    base: object = run.environment().get("base_sha256")
    return FittedModel(adapter_sha256=run.adapter_sha256(), base_sha256=base if isinstance(base, str) else None)


def _model_in(export: Export) -> FittedModel:
    return FittedModel(adapter_sha256=export.adapter_sha256(), base_sha256=export.record["base_sha256"])


def places_of(predictions: Sequence[Prediction], choices: Sequence[str]) -> Ints:
    """Return the places of the gold answers among the choices, `(n,)`."""
    place: dict[object, int] = {name: i for i, name in enumerate(choices)}
    return np.array([place[one.gold] for one in predictions], dtype=np.int64)


def as_matrix(predictions: Sequence[Prediction], choices: Sequence[str]) -> Floats:
    """Return probabilities of predictions, `(n, choices)`."""
    return np.array([[one.probabilities[name] for name in choices] for one in predictions])

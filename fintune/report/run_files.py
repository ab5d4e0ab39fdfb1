"""The files of a run as a report reads them, and what they say of it: name, part, labels, scores."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fintune.data.quality.scant import scant
from fintune.inference.calibration.record import Calibration
from fintune.records import Claims, Prediction, Scores, Slice, Statement
from fintune.runs.schema import AttributionRecord, DataRecord, EnvironmentRecord, LogLine, ReportRecord
from fintune.tasks.lookup import labels_in

PARTS = ("test", "validation")
"""The part that is reported is the first of these that was scored."""


@dataclass(frozen=True)
class RunFiles:
    """The files of a run; what is absent is empty, and named in `missing`."""

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    data: DataRecord | None = None
    environment: EnvironmentRecord = field(default_factory=EnvironmentRecord)
    log: list[LogLine] = field(default_factory=list)
    kind: str = ""
    """What answers are: labels, numbers, lists or texts; empty where scores.json does not say."""
    headline: list[str] = field(default_factory=list)
    """Names of the metrics that are shown first."""
    scores: dict[str, Scores] = field(default_factory=dict)
    baselines: dict[str, dict[str, Scores]] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)
    predictions: dict[str, list[Prediction]] = field(default_factory=dict)
    calibration: Calibration | None = None
    attributions: list[AttributionRecord] = field(default_factory=list)
    adapter_bytes: int = 0
    unfinished: str = ""
    """What the mark of an unfinished run says."""
    missing: list[str] = field(default_factory=list)
    """Names of files that are absent or damaged."""

    @property
    def name(self) -> str:
        """The name that the config has, or the folder."""
        return str(self.config.get("name") or self.folder.resolve().name)

    @property
    def method(self) -> str:
        """Name of the fine-tuning method."""
        return str(self._section("method").get("name", ""))

    @property
    def part(self) -> str:
        """The part that is reported; empty when none was scored."""
        return next((part for part in PARTS if part in self.scores or part in self.predictions), "")

    @property
    def judged(self) -> list[Prediction]:
        """Predictions of that part whose true answer is known."""
        return [p for p in self.predictions.get(self.part, []) if p.gold is not None]

    @property
    def weighed(self) -> list[Prediction]:
        """Those of them that chose among labels, the true one with them, and say how sure they are."""
        return [p for p in self.judged if p.gold in p.probabilities] if self.kind == "labels" else []

    @property
    def sure(self) -> list[Prediction]:
        """The same with calibrated probabilities; none but on the test part, as the map is fitted on the others."""
        if self.calibration is None or self.part != "test":
            return []
        return self.calibration.applied(self.weighed)

    @property
    def metric(self) -> str:
        """The metric that is shown first; empty where none is."""
        return next(iter(self.headline), "")

    @property
    def figures(self) -> Scores:
        """Scores of that part."""
        return self.scores.get(self.part, {})

    @property
    def clean(self) -> Scores:
        """Scores of that part on the rows that are new to the model, where others are not."""
        return self.claims.splits.get(self.part, {})

    @property
    def report(self) -> ReportRecord | None:
        """What data.json says of the data."""
        return self.data.get("report") if self.data else None

    @property
    def scant(self) -> list[Statement]:
        """What its data had too little of."""
        epochs = self._section("train").get("epochs")
        labels = self.report.get("parts", {}).get("train", {}) if self.report and self.kind == "labels" else {}
        validation = len(self.data["ids"].get("validation", [])) if self.data else 0
        return scant(labels, validation=validation, choosing=epochs not in (None, 1))

    @property
    def slices(self) -> list[Slice]:
        """The slices of the part that is reported."""
        return self.claims.slices.get(self.part, [])

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data, where it is known."""
        return self.data["fingerprint"] if self.data else ""

    @property
    def base(self) -> str:
        """The base model as the config names it."""
        return str(self._section("model").get("base") or "")

    @property
    def labels(self) -> list[str]:
        """The labels, in the task's order where it is known; none where answers are no labels."""
        unscored = self.report["labels"] if self.report and not self.kind else []
        return labels_in(self.figures) or list(unscored)

    @property
    def level(self) -> float:
        """Confidence of every interval, such as 0.95."""
        return float(self._section("evaluation").get("confidence", 0.95))

    def _section(self, name: str) -> dict[str, Any]:
        return dict(self.config.get(name) or {})

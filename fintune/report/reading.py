"""What a run or comparison folder holds, read so that a missing or damaged piece costs a note and not the report.

>>> read_run(Path("runs/phrasebank-lora")).part
'test'
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from fintune.config.load import REGISTRIES, SECTIONS
from fintune.errors import RunError
from fintune.records import Claims, Prediction, Scores, predictions_in
from fintune.runs import manifest
from fintune.runs.files import MANIFEST, MARK
from fintune.runs.run import Run
from fintune.runs.schema import (
    AttributionRecord,
    ComparisonRecord,
    DataRecord,
    EnvironmentRecord,
    LogLine,
    ReportRecord,
    ScoresRecord,
    problem_of,
)
from fintune.runs.score_record import claims_in, scores_in
from fintune.runtime.untrusted import LARGEST_LIST, parse_json, parse_object, parse_yaml, read_bytes

COMPARISON = "comparison.json"
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
    scores: dict[str, Scores] = field(default_factory=dict)
    baselines: dict[str, dict[str, Scores]] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)
    predictions: dict[str, list[Prediction]] = field(default_factory=dict)
    calibration: Mapping[str, object] = field(default_factory=dict)
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
        """Predictions of that part whose true label is one of the task's."""
        return [p for p in self.predictions.get(self.part, []) if p.gold in p.probabilities]

    @property
    def headline(self) -> Scores:
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
    def fingerprint(self) -> str:
        """The fingerprint of the data, where it is known."""
        return self.data["fingerprint"] if self.data else ""

    @property
    def base(self) -> str:
        """The base model as the config names it."""
        return str(self._section("model").get("base") or "")

    @property
    def labels(self) -> list[str]:
        """The labels, in the task's order where it is known."""
        if self.judged:
            return list(self.judged[0].probabilities)
        scored = [name.removeprefix("recall/") for name in self.headline if name.startswith("recall/")]
        return scored or list(self.report["labels"] if self.report else [])

    @property
    def level(self) -> float:
        """Confidence of every interval, such as 0.95."""
        return float(self._section("evaluation").get("confidence", 0.95))

    def _section(self, name: str) -> dict[str, Any]:
        return dict(self.config.get(name) or {})


def read_run(folder: Path) -> RunFiles:
    """Read every file of a run, finished or not. Raises RunError when the folder is no run."""
    if not (folder / "config.yaml").is_file():
        Run.open(folder)  # says so, and what else lies there
    files = _Files(folder)
    scores: ScoresRecord | None = files.checked("scores.json")
    config_text = files.text("config.yaml")
    data: DataRecord | None = files.checked("data.json")
    environment: EnvironmentRecord | None = files.checked("environment.json")
    read = RunFiles(
        folder=folder,
        config=files.yaml("config.yaml", config_text),
        config_text=config_text,
        data=data,
        environment=environment or {},
        log=files.lines("log.jsonl"),
        scores=scores_in(scores["splits"]) if scores else {},
        baselines={name: scores_in(parts) for name, parts in scores["baselines"].items()} if scores else {},
        claims=claims_in(scores) if scores else Claims(),
        predictions=files.predictions(),
        calibration=files.mapping("calibration.json"),
        attributions=files.checked("attributions.json", expected=False) or [],
        adapter_bytes=sum(path.stat().st_size for path in (folder / "adapter").glob("*") if path.is_file()),
        unfinished=files.text(MARK, expected=False).strip(),
        missing=files.missing,
    )
    if not read.unfinished and files.text(MANIFEST) and not files.missing:
        manifest.need_unchanged(Run(folder))
    return read


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison of runs."""
    return (folder / COMPARISON).is_file()


def read_comparison(folder: Path) -> ComparisonRecord:
    """Read comparison.json. Raises RunError when it is damaged."""
    record: ComparisonRecord | None = _Files(folder).checked(COMPARISON)
    if not record:
        raise RunError(f"{folder / COMPARISON}: damaged: no rows of scores in it", hint="Run fintune compare again.")
    return record


class _Files:
    """Reads one folder and remembers which files it could not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: list[str] = []

    def text(self, name: str, *, expected: bool = True) -> str:
        try:
            return read_bytes(self.folder / name, most=LARGEST_LIST).decode(errors="replace")
        except (OSError, ValueError):
            self._note(name, expected)
            return ""

    def checked(self, name: str, *, expected: bool = True) -> Any:
        """Return a JSON file's content, in which readers find what they look for; None where it is absent or damaged."""
        text = self.text(name, expected=expected)
        try:
            content = parse_json(text) if text else None
        except ValueError:
            content = None
        if text and (content is None or problem_of(name, content) is not None):
            self._note(name)
            return None
        return content

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return a JSON object that a run need not have; empty where it is absent or damaged."""
        content = self.checked(name, expected=False)
        return content if isinstance(content, dict) else {}

    def yaml(self, name: str, text: str) -> dict[str, Any]:
        """Return its sections; values that stand where a section should are left out."""
        try:
            content = parse_yaml(text)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            self._note(name)
            return {}
        return {
            key: value
            for key, value in content.items()
            if isinstance(value, dict) or key not in (*SECTIONS, *REGISTRIES)
        }

    def lines(self, name: str) -> list[LogLine]:
        """Return objects of a JSONL file up to the first line that is torn."""
        lines: list[Any] = []  # problem_of looks at them
        try:
            for line in filter(None, self.text(name).split("\n")):
                lines.append(parse_object(line))
        except ValueError:
            self._note(name)
        if problem_of(name, lines) is not None:
            self._note(name)
            return []
        return lines

    def predictions(self) -> dict[str, list[Prediction]]:
        """Return those of every part that was scored; a file with a torn line is left out, for its counts would be wrong."""
        by_part: dict[str, list[Prediction]] = {}
        for path in sorted(self.folder.glob("predictions.*.jsonl")):
            if path.name.count(".") > 2:  # a baseline's
                continue
            try:
                predictions = predictions_in(self.text(path.name))
            except ValueError:
                self._note(path.name)
                continue
            if all(isfinite(share) for p in predictions for share in p.probabilities.values()):
                by_part[path.name.split(".")[1]] = predictions
            else:
                self._note(path.name)
        return by_part

    def _note(self, name: str, expected: bool = True) -> None:
        if expected and name not in self.missing:
            self.missing.append(name)

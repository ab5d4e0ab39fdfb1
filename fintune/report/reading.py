"""What a run or comparison folder holds, read so that a missing or damaged piece costs a note and not the report.

Example:
    read_run(Path("runs/phrasebank-lora")).part
    # 'test'
"""

from math import isfinite
from pathlib import Path
from typing import Any

from fintune.config.load import REGISTRIES, SECTIONS
from fintune.errors import FintuneError, RunError
from fintune.inference.calibration.record import Calibration, of_run
from fintune.records import Claims, Prediction, predictions_in
from fintune.report.run_files import RunFiles
from fintune.runs import manifest
from fintune.runs.files import CALIBRATION, MANIFEST, MARK
from fintune.runs.run import Run
from fintune.runs.schema import (
    ComparisonRecord,
    DataRecord,
    EnvironmentRecord,
    LogLine,
    ScoresRecord,
    TaskRecord,
    problem_of,
)
from fintune.runs.score_record import claims_in, scores_in
from fintune.runs.version import need_this_version
from fintune.runtime.untrusted import LARGEST_LIST, parse_json, parse_object, parse_yaml, read_bytes

COMPARISON = "comparison.json"


def read_run(folder: Path) -> RunFiles:
    """Read every file of a run, finished or not. Raises RunError when the folder is no run."""
    if not (folder / "config.yaml").is_file():
        Run.open(folder)  # says so, and what else lies there
    need_this_version(folder)
    files = _Files(folder)
    scores: ScoresRecord | None = files.checked("scores.json")
    if scores is not None and not (folder / MANIFEST).is_file():
        manifest.read(Run(folder))  # says so
    task: TaskRecord = scores.get("task", {}) if scores else {}
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
        kind=task.get("kind", ""),
        headline=task.get("headline", []),
        scores=scores_in(scores["splits"]) if scores else {},
        baselines={name: scores_in(parts) for name, parts in scores["baselines"].items()} if scores else {},
        claims=claims_in(scores) if scores else Claims(),
        predictions=files.predictions(),
        calibration=files.calibration(),
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

    def calibration(self) -> Calibration | None:
        """Return the run's calibration; None where it has none, or a damaged one, or another model's."""
        try:
            return of_run(Run(self.folder))
        except (FintuneError, OSError):
            self._note(CALIBRATION)
            return None

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
            if path.name in self.missing:
                continue
            if all(isfinite(share) for p in predictions for share in p.probabilities.values()):
                by_part[path.name.split(".")[1]] = predictions
            else:
                self._note(path.name)
        return by_part

    def _note(self, name: str, expected: bool = True) -> None:
        if expected and name not in self.missing:
            self.missing.append(name)

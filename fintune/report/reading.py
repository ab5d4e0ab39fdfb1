"""What a run or comparison folder holds, read so that a missing or damaged piece costs a note and not the report.

>>> run = read_run(Path("runs/phrasebank-lora"))
>>> run.part, len(run.judged), run.missing
('test', 452, [])
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, cast

from fintune.config.load import REGISTRIES, SECTIONS
from fintune.errors import RunError
from fintune.records import Claims, Prediction, Score, Scores
from fintune.runs import manifest
from fintune.runs.files import MANIFEST, MARK
from fintune.runs.run import Run
from fintune.runs.schema import ScoresRecord, problem_of
from fintune.runs.score_record import claims_in
from fintune.runtime.untrusted import LARGEST_LIST, parse_json, parse_object, parse_yaml, read_bytes

COMPARISON = "comparison.json"
PARTS = ("test", "validation")
"""the part that is reported: the first of these that was scored"""


@dataclass(frozen=True)
class RunFiles:
    """The files of a run; what is absent is empty, and named in `missing`."""

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    baselines: dict[str, dict[str, Scores]] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)
    predictions: dict[str, list[Prediction]] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    attributions: list[dict[str, Any]] = field(default_factory=list)
    adapter_bytes: int = 0
    unfinished: str = ""
    """what INCOMPLETE says"""
    missing: list[str] = field(default_factory=list)
    """names of files that are absent or damaged"""

    @property
    def name(self) -> str:
        """As the config has it, or the folder."""
        return str(self.config.get("name") or self.folder.resolve().name)

    @property
    def method(self) -> str:
        """Name of the fine-tuning method."""
        return str(self.section("method").get("name", ""))

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
    def report(self) -> dict[str, Any]:
        """The DataReport."""
        return dict(self.data.get("report") or {})

    @property
    def labels(self) -> list[str]:
        """In the task's order where it is known."""
        if self.judged:
            return list(self.judged[0].probabilities)
        scored = [name.removeprefix("recall/") for name in self.headline if name.startswith("recall/")]
        return scored or list(self.report.get("labels", {}))

    @property
    def level(self) -> float:
        """Confidence of every interval, such as 0.95."""
        return float(self.section("evaluation").get("confidence", 0.95))

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the config."""
        return dict(self.config.get(name) or {})


def read_run(folder: Path) -> RunFiles:
    """Every file of a run, finished or not. Raises RunError when the folder is no run."""
    if not (folder / "config.yaml").is_file():
        Run.open(folder)  # says so, and what else lies there
    files = _Files(folder)
    scores = files.mapping("scores.json")
    config_text = files.text("config.yaml")
    read = RunFiles(
        folder=folder,
        config=files.yaml("config.yaml", config_text),
        config_text=config_text,
        data=files.mapping("data.json"),
        environment=files.mapping("environment.json"),
        log=files.lines("log.jsonl"),
        scores={part: _scores(of) for part, of in (scores.get("splits") or {}).items()},
        baselines={
            name: {part: _scores(of) for part, of in parts.items()}
            for name, parts in (scores.get("baselines") or {}).items()
        },
        claims=files.claims(scores),
        predictions=files.predictions(),
        calibration=files.mapping("calibration.json", expected=False),
        attributions=files.attributions("attributions.json"),
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


def read_comparison(folder: Path) -> dict[str, Any]:
    """comparison.json. Raises RunError when it is damaged."""
    files = _Files(folder)
    found = files.mapping(COMPARISON)
    if not found:
        raise RunError(f"{folder / COMPARISON}: damaged: no rows of scores in it", hint="Run fintune compare again.")
    return found


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

    def mapping(self, name: str, *, expected: bool = True) -> dict[str, Any]:
        found = self._parsed(name, expected)
        return found if isinstance(found, dict) else {}

    def claims(self, scores: Mapping[str, Any]) -> Claims:
        """Return what stands beside the figures of scores.json, as far as it can be read."""
        try:
            return claims_in(cast("ScoresRecord", scores))  # problem_of has looked at it
        except (AttributeError, KeyError, TypeError, ValueError):
            self._note("scores.json")
            return Claims()

    def attributions(self, name: str) -> list[dict[str, Any]]:
        found = self._parsed(name, expected=False)
        return found if isinstance(found, list) else []

    def yaml(self, name: str, text: str) -> dict[str, Any]:
        """Its sections; values that stand where a section should are left out."""
        try:
            found = parse_yaml(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._note(name)
            return {}
        return {
            key: value for key, value in found.items() if isinstance(value, dict) or key not in (*SECTIONS, *REGISTRIES)
        }

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Objects of a JSONL file up to the first line that is torn."""
        found: list[dict[str, Any]] = []
        try:
            for line in filter(None, self.text(name).split("\n")):
                found.append(parse_object(line))
        except ValueError:
            self._note(name)
        if problem_of(name, found) is not None:
            self._note(name)
            return []
        return found

    def predictions(self) -> dict[str, list[Prediction]]:
        """Of every part that was scored; a file with a torn line is left out, for its counts would be wrong."""
        found: dict[str, list[Prediction]] = {}
        for path in sorted(self.folder.glob("predictions.*.jsonl")):
            if path.name.count(".") > 2:  # a baseline's
                continue
            try:
                rows = [_prediction(line) for line in self.lines(path.name)]
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
                self._note(path.name)
            if path.name not in self.missing:
                found[path.name.split(".")[1]] = rows
        return found

    def _parsed(self, name: str, expected: bool) -> Any:
        text = self.text(name, expected=expected)
        if not text:
            return None
        try:
            content = parse_json(text)
        except ValueError:
            content = None
        if content is None or problem_of(name, content) is not None:
            self._note(name)
            return None
        return content

    def _note(self, name: str, expected: bool = True) -> None:
        if expected and name not in self.missing:
            self.missing.append(name)


def _prediction(line: Mapping[str, Any]) -> Prediction:
    probabilities = {str(label): float(p) for label, p in line["probabilities"].items()}
    found = Prediction(line["id"], line["text"], line.get("answer", ""), line["label"], probabilities, line.get("gold"))
    texts = (found.id, found.text, found.answer, found.label or "", found.gold or "")
    if not all(isinstance(text, str) for text in texts) or not all(map(isfinite, probabilities.values())):
        raise ValueError("no prediction")
    return found


def _scores(found: Mapping[str, Any]) -> Scores:
    return {name: Score(**score) for name, score in found.items() if score.keys() == Score.__dataclass_fields__.keys()}

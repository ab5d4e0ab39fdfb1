"""A run folder: everything that is read of it and written into it (names of its files: files.py).

Every file is written beside its place and renamed. While a run is being made the folder holds `INCOMPLETE`; readers refuse it.

Example:
    run = Run.open("runs/phrasebank-lora")
    run.scores()["test"]["answer_loss"].value
    # 0.098
"""

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fintune.config.load import load
from fintune.config.mistaken import mistaken_for_run
from fintune.config.plugins import typed_code
from fintune.config.run_config import RunConfig
from fintune.data.quality.cleanup import Dropped
from fintune.errors import ConfigError, RunError
from fintune.methods import METHODS
from fintune.models.digests import file_sha256
from fintune.records import Claims, Prediction, Scores, lines_of, predictions_in
from fintune.runs.cached_files import CachedFiles
from fintune.runs.files import MARK
from fintune.runs.places import former_of, others_at, unfinished_of
from fintune.runs.schema import (
    DataRecord,
    EnvironmentRecord,
    ForgettingRecord,
    LogLine,
    ScoresRecord,
    TaskRecord,
)
from fintune.runs.score_record import claims_in, content_of, scores_in
from fintune.runs.training_log import logged_peak_memory, train_seconds
from fintune.runs.version import need_this_version
from fintune.runtime.files import disk_errors
from fintune.runtime.shell import typed
from fintune.runtime.untrusted import LARGEST_LIST, need_name, parse_object, read_bytes
from fintune.tasks.promises import unfit

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Run:
    """A folder under `runs/`.

    Config, data, environment and scores are read once and then are what they were, until this object writes them, or `refresh` finds
    that somebody else has; what is returned is not to be changed.
    """

    folder: Path
    base: str = ""
    """Where its base model lies by now, when that is not where the config says; its digest is compared all the same."""
    _files: CachedFiles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Begin with nothing read."""
        object.__setattr__(self, "_files", CachedFiles(self.folder))

    def __reduce__(self) -> tuple[type["Run"], tuple[Path, str]]:
        """Copy and pickle a run as what it is: a place; the copy reads its files itself."""
        return Run, (self.folder, self.base)

    @classmethod
    def open(cls, folder: str | Path, *, base: str = "") -> "Run":
        """Return a complete run. Raises RunError when there is none, or only half of one."""
        run = cls(Path(folder).expanduser().absolute(), base)
        need_name(run.folder)
        if not (run.folder / "config.yaml").is_file():
            if (mistaken := mistaken_for_run(Path(folder))) is not None:
                raise RunError(mistaken[0], hint=mistaken[1])
            raise RunError(f"{folder}: not a run folder (no config.yaml)", hint=others_at(run.folder))
        if (run.folder / MARK).exists():
            raise run._unfinished(folder)
        need_this_version(run.folder)
        return run

    def _unfinished(self, named: str | Path) -> RunError:
        """Return what to say of a run that is named before it is finished."""
        former = former_of(self.folder)
        kept = f"The finished run it was to replace lies in {former}; train brings it back." if former.exists() else ""
        onward = (
            f"Go on: {self.command_to_resume()}"
            if self.has_begun_training()
            else "Train it again with the same config; a finished run replaces it."
        )
        begun = read_bytes(self.folder / MARK).decode(errors="replace").strip()
        return RunError(f"{named}: unfinished run: {begun}", hint=f"{kept} {onward}".strip())

    @property
    def adapter(self) -> Path:
        """Folder of the adapter, in PEFT's format where PEFT has the method."""
        return self.folder / "adapter"

    def adapter_sha256(self) -> str:
        """Digest of the adapter's weights. Raises RunError when there are none."""
        if not (files := sorted(self.adapter.glob("*.safetensors"))):
            raise RunError(f"{self.adapter}: no weights", hint="Copy the run folder again.")
        return file_sha256(files[0])

    @property
    def checkpoints(self) -> Path:
        """Folder for what a resume needs."""
        return self.folder / "checkpoints"

    def config(self) -> RunConfig:
        """Return the resolved settings."""
        return self._files.once("config.yaml", self._load_config)

    def _load_config(self) -> RunConfig:
        path = self.folder / "config.yaml"
        try:
            return load(path, [f"model.base={json.dumps(self.base)}"] if self.base else [])
        except ConfigError as error:
            hint = "Copy the run folder again; if its method or task is your own: --code FILE that makes it."
            raise RunError(f"{path}: damaged: {error.problems[0]}", hint=hint) from None

    def data(self) -> DataRecord:
        """Return data.json: sources, fingerprint, ids of each part, the DataReport."""
        return self._files.record("data.json", DataRecord)

    def environment(self) -> EnvironmentRecord:
        """Return environment.json: versions, hardware, commit, command line, seed, parameter counts."""
        return self._files.record("environment.json", EnvironmentRecord)

    def raw_scores(self) -> ScoresRecord:
        """Return scores.json as it stands: task, splits, baselines."""
        return self._files.record("scores.json", ScoresRecord)

    def refresh(self) -> None:
        """Have what others have written since read again, so that what is compared is what is used."""
        self._files.refresh()

    def log(self) -> list[LogLine]:
        """Return the lines of log.jsonl."""
        lines = self._files.parsed("log.jsonl", lambda text: [parse_object(line) for line in text.splitlines()])
        return cast("list[LogLine]", lines)

    def scores(self) -> dict[str, Scores]:
        """Return the scores by part."""
        return scores_in(self.raw_scores()["splits"])

    def baselines(self) -> dict[str, dict[str, Scores]]:
        """Return the scores by baseline and part."""
        return {name: scores_in(parts) for name, parts in self.raw_scores()["baselines"].items()}

    def claims(self) -> Claims:
        """Return what these scores are worth, and those on rows that are new to the model."""
        return claims_in(self.raw_scores())

    def write_scores(
        self,
        task: TaskRecord,
        splits: Mapping[str, Scores],
        baselines: Mapping[str, Mapping[str, Scores]],
        claims: Claims | None = None,
    ) -> None:
        """Write scores.json."""
        self.write_json("scores.json", {"task": task, **content_of(splits, baselines, claims or Claims())})

    def predictions(self, part: str, baseline: str | None = None) -> list[Prediction]:
        """Return what the run's model, or a baseline, answered on a part. Raises RunError where there are none, or another task's."""
        task = self.config().build_task()

        def of_the_task(lines: str) -> list[Prediction]:
            predictions = predictions_in(lines)
            for number, one in enumerate(predictions, start=1):
                if problem := unfit(task, one):
                    raise ValueError(f"line {number}: {problem}")
            return predictions

        return self._files.parsed(_predictions_file(part, baseline), of_the_task)

    def has_predictions(self, part: str, baseline: str | None = None) -> bool:
        """Whether answers to a part are here; an adapter that is kept has those of validation alone."""
        return (self.folder / _predictions_file(part, baseline)).is_file()

    def write_predictions(self, part: str, predictions: Sequence[Prediction], baseline: str | None = None) -> None:
        """Write predictions.<part>.jsonl, or predictions.<part>.<baseline>.jsonl."""
        self.write_text(_predictions_file(part, baseline), lines_of(predictions))

    def write_dropped(self, dropped: Sequence[Dropped]) -> None:
        """Write dropped.jsonl: a line for each row that was left out, with the reason; none when none was."""
        if dropped:
            lines = [json.dumps(d.record(), ensure_ascii=False) + "\n" for d in dropped]
            self.write_text("dropped.jsonl", "".join(lines))

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file whole or not at all."""
        self.write_text(name, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def write_text(self, name: str, content: str) -> None:
        """Write a text file whole or not at all."""
        self._files.write(name, content)

    def write_environment(self, environment: Mapping[str, object], *, resumed: bool) -> None:
        """Write environment.json; of a resumed run it keeps how it began, and notes when it went on and on what."""
        if not resumed:
            self.write_json("environment.json", dict(environment))
            return
        began = self.environment()
        onward = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", **environment}
        self.add_to_environment({"resumed": [*began.get("resumed", []), onward]})

    def add_to_environment(self, facts: Mapping[str, object]) -> None:
        """Write environment.json with these facts beside, or instead of, those that it holds."""
        self.write_json("environment.json", {**self.environment(), **facts})

    def kept_epoch(self) -> int:
        """Return the number of the epoch whose adapter is the run's. Raises RunError where no log says so."""
        kept = [line["epoch"] for line in self.log() if line.get("best")]
        if not kept:
            raise RunError(f"{self.folder / 'log.jsonl'}: no epoch that was kept", hint="Copy the run folder again.")
        return int(kept[-1])

    def train_seconds(self) -> float:
        """Return the time the optimizer's steps took, judging and loading apart; of an interrupted run, all its parts."""
        return train_seconds(self.log())

    def write_costs(self, seconds_per_1000: float) -> None:
        """Add to environment.json what the run cost, as a comparison shows it."""
        peak = logged_peak_memory(self.log())
        costs = {"train_seconds": self.train_seconds(), "peak_memory_bytes": peak, "seconds_per_1000": seconds_per_1000}
        self.add_to_environment(costs)

    def append_log(self, line: Mapping[str, object]) -> None:
        """Add a line to log.jsonl."""
        self.append_line("log.jsonl", line)

    def append_line(self, name: str, line: Mapping[str, object]) -> None:
        """Add a line to a file of JSON lines."""
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def save_adapter(self, model: "PreTrainedModel | PeftModel") -> None:
        """Save what the run's method trains; the former one stays until the new one is whole."""
        staging, former = self.folder / ".adapter.new", self.folder / ".adapter.old"
        for left in (staging, former):
            shutil.rmtree(left, ignore_errors=True)
        with disk_errors(staging):
            METHODS[self.config().method.name].save(model, staging)
        (staging / "README.md").unlink(missing_ok=True)  # PEFT's empty model card; ours stands one level up
        if self.adapter.exists():
            self.adapter.rename(former)
        staging.rename(self.adapter)
        shutil.rmtree(former, ignore_errors=True)

    def keep_log(self, lines: int) -> None:
        """Forget all but the first lines of log.jsonl."""
        path = self.folder / "log.jsonl"
        if path.exists():
            kept = read_bytes(path, most=LARGEST_LIST).splitlines(keepends=True)[:lines]
            self.write_text(path.name, b"".join(kept).decode(errors="replace"))

    def exists(self) -> bool:
        """Whether a run stands here, finished or to be gone on with."""
        return self.is_finished() or self.has_begun_training()

    def is_finished(self) -> bool:
        """Whether a complete run stands here."""
        return (self.folder / "config.yaml").is_file() and not (self.folder / MARK).exists()

    def has_begun_training(self) -> bool:
        """Whether an unfinished run stands here that can be gone on with."""
        return (self.folder / MARK).exists() and any(
            self.checkpoints.glob("*checkpoint-*")
        )  # also one moved aside when a process was killed

    def command_to_resume(self) -> str:
        """Return what to type to go on with an unfinished run, wherever it has been moved to."""
        place = run_of(self.config()).folder
        moved = (
            ""
            if self.folder.absolute() in (place, unfinished_of(place))
            else (
                f" --set output={shlex.quote(str(self.folder.absolute().parent))} --set name={shlex.quote(self.folder.name)}"
            )
        )
        return f"fintune train {typed(self.folder / 'config.yaml')} --resume{moved}{typed_code()}"

    def untrained(self) -> bool:
        """Whether training left nothing here that is worth keeping."""
        return not self.adapter.exists() and not (self.folder / "log.jsonl").exists()

    def forgetting(self) -> ForgettingRecord | None:
        """Return the perplexity on general text before and after; None where it was not measured."""
        if not (self.folder / "forgetting.json").exists():
            return None
        return self._files.record("forgetting.json", ForgettingRecord)


def run_of(config: RunConfig) -> Run:
    """Return the run a config makes, whether it exists yet or not."""
    return Run(Path(config.output).expanduser() / config.name)


def _predictions_file(part: str, baseline: str | None) -> str:
    return f"predictions.{part}.{baseline}.jsonl" if baseline else f"predictions.{part}.jsonl"

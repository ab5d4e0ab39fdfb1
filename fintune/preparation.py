"""From a config to examples ready for a model: read, checked, split, and (with a tokenizer) encoded.

Nothing here loads weights, so a mistake in config or data costs seconds, not minutes.

>>> prepared = prepare(load("run.yaml"))
>>> prepared.report.exact_duplicates
5
"""

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fintune.config import RunConfig
from fintune.data.checks import DataReport, drop_duplicates, report
from fintune.data.duplicates import clusters
from fintune.data.formats import Columns
from fintune.data.readers import BUILTIN, read, resolve, sha256
from fintune.data.splits import Splits, split
from fintune.errors import BrokenEnvironment, DataError, ModelError
from fintune.models import LoadedModel, check_reference
from fintune.progress import tell
from fintune.prompts import PromptEncoder
from fintune.records import Encoded, TooLong
from fintune.tasks import TASKS, Task


@dataclass(frozen=True)
class Prepared:
    """A config whose task and data have been found sound."""

    config: RunConfig
    task: Task
    splits: Splits
    report: DataReport
    source: Path


def prepare(config: RunConfig) -> Prepared:
    """Check the model's reference, read, check and split the data. Raises ModelError, DataError; loads no weights."""
    check_reference(config.model.base, config.model.device)
    task = TASKS[config.task.name].build(config.task)
    data = config.data
    _need_packages(config)
    columns = Columns(data.text_column, data.label_column)
    rows = list(read(data.path, name=data.format, encoding=data.encoding, columns=columns))
    examples = [task.parse(row) for row in rows if row.text]
    kept = drop_duplicates(examples)
    if len(kept) < 10:
        raise DataError(
            f"{data.path}: {len(kept)} distinct examples, too few to split",
            hint="Ten are the least, hundreds are useful.",
        )
    groups = clusters([example.text for example in kept])
    splits = split(kept, groups, data.split.fractions, seed=data.split.seed)
    _need_labels(task, splits, data.path)
    found = report(kept, groups, splits.parts, empty=len(rows) - len(examples), duplicates=len(examples) - len(kept))
    return Prepared(_absolute(config), task, splits, found, resolve(data.path))


def encode(prepared: Prepared, loaded: LoadedModel) -> list[Encoded]:
    """Token ids of the training part; says how many texts were cut, refuses what cannot fit."""
    encoder = PromptEncoder(loaded.tokenizer, loaded.kind, prepared.config.model.max_length)
    task, encoded = prepared.task, []
    for example in prepared.splits["train"]:
        ids = encoder.encode(task.prompt(example.text), task.answer(example.label))
        if isinstance(ids, TooLong):
            raise ModelError(
                f"model.max_length: {ids.limit} tokens cannot hold template and answer ({ids.needed})",
                hint="Raise model.max_length or shorten task.prompt.",
            )
        encoded.append(ids)
    if cut := sum(e.cut > 0 for e in encoded):
        tell("data", f"{cut} of {len(encoded)} training texts exceed {encoder.max_length} tokens and lost their middle")
    return encoded


def data_record(prepared: Prepared) -> dict[str, Any]:
    """The content of data.json."""
    return {
        "task": prepared.task.name,
        "sources": [{"path": str(prepared.source), "sha256": sha256(prepared.source)}],
        "fingerprint": prepared.splits.fingerprint,
        "report": asdict(prepared.report),
        "ids": {part: [example.id for example in examples] for part, examples in prepared.splits.parts.items()},
    }


def reading(
    config: RunConfig, path: str, *, name: str | None = None, encoding: str | None = None, need_label: bool = True
) -> dict[str, Any]:
    """How to read another file for a run (arguments of readers.read): as in training where it ends alike, unless told."""
    data = config.data
    alike = Path(path).suffix.lower() == Path(data.path).suffix.lower()
    return {
        "name": name or (data.format if alike else "auto"),
        "encoding": encoding or (data.encoding if alike else "auto"),
        "columns": Columns(data.text_column, data.label_column, need_label),
    }


def _need_packages(config: RunConfig) -> None:
    """Find a missing extra now, not after the weights have loaded."""
    for package in config.train.report_to:
        if find_spec(package) is None:
            raise BrokenEnvironment(
                f"train.report_to: {package} is not installed",
                hint=f"pip install 'fintune[{package}]', or leave it out.",
            )


def _absolute(config: RunConfig) -> RunConfig:
    """The config with whole paths, so that a run can be read from any folder."""
    data, model = config.data, config.model
    path = data.path if data.path.startswith(BUILTIN) else str(resolve(data.path).resolve())
    base = str(Path(model.base).expanduser().resolve()) if Path(model.base).expanduser().exists() else model.base
    changed = {"data": data.model_copy(update={"path": path}), "model": model.model_copy(update={"base": base})}
    return config.model_copy(update=changed)


def announce(prepared: Prepared) -> None:
    """Tell whoever listens what the data hold."""
    found, sizes = prepared.report, {part: len(examples) for part, examples in prepared.splits.parts.items()}
    labels = " · ".join(f"{label} {count:,}" for label, count in found.labels.items())
    tell("data", f"{found.rows:,} rows · {labels} · {found.exact_duplicates} exact duplicates dropped")
    tell(
        "data",
        f"{found.near_duplicate_rows} rows in near-duplicate clusters, kept on one side of the split · "
        + " · ".join(f"{part} {size:,}" for part, size in sizes.items()),
    )


def _need_labels(task: Task, splits: Splits, path: str) -> None:
    """Refuse a part that lacks a label: it could neither be learned nor judged."""
    for part, examples in splits.parts.items():
        present = {example.label for example in examples}
        if missing := [label for label in task.labels if label not in present]:
            raise DataError(
                f"{path}: no example of label '{missing[0]}' in the {part} part",
                hint="Add examples of it, or take it out of task.labels.",
            )

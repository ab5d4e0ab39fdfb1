"""Label a file of any size: a stream in, a stream out, in order, and resumable after a kill without loss or doubles.

Finished chunks are kept beside the output in `.<output>.partial`; the same call goes on from there and ends in the same bytes.

Example:
    predict_file("runs/phrasebank-lora", "tomorrow.csv", "labels.parquet")
    # Bulk(labeled=1000000, unreadable=3, output=PosixPath('labels.parquet'), errors=PosixPath('labels.parquet.errors.jsonl'))
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TypedDict, Unpack

from pydantic import JsonValue

from fintune.config.load import dump
from fintune.data.quality.checks import MANY_LINES
from fintune.data.readers.columns import fault_error
from fintune.data.readers.read import Reading, open_source, records
from fintune.data.readers.sources import expand
from fintune.data.reading import reading_like
from fintune.data.settings import DataSection
from fintune.errors import DataError, RunError
from fintune.inference.calibration.record import Calibration
from fintune.inference.calibration.rules import CostsByLabel, Rule
from fintune.inference.files import WRITERS, AnswerColumns, AnswerRow, Rows, answer_row
from fintune.inference.open import ChosenEngine, Trained, choose_engine, open_trained
from fintune.inference.predictor import Predictor, predictor_of
from fintune.records import Fault, Row
from fintune.runs.exported import EXPORT_RECORD, Export
from fintune.runs.files import need_no_run_file
from fintune.runtime.files import locked, need_place, replacing, sha256
from fintune.runtime.printable import json_text
from fintune.runtime.progress import advance, listening, tell
from fintune.tasks import Task

_KEPT = "kept columns"
"""Where an answer has the columns of its record until all their names are known."""
CHUNK = 1024
"""Number of records labeled between two points at which a killed job goes on."""


class Layout(TypedDict, total=False):
    """How a file is to be read where it differs from the run's data: column, name of the format, encoding, or all of section data."""

    text_column: str | None
    name: str | None
    encoding: str | None
    told: DataSection | None


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """A file that was labeled: how many of its records, and where the answers lie."""

    labeled: int
    unreadable: int
    output: Path
    errors: Path | None
    """A line for each record that has no label, with the reason; None when there is none."""
    rest_unread: bool = False
    """Whether a file is damaged so that nothing behind some place could be read."""


def predict_file(
    run: Trained | str | Path,
    path: str | Sequence[str],
    output: str | Path,
    *,
    engine_name: str = "torch",
    max_error: float | None = None,
    costs: CostsByLabel | None = None,
    **layout: Unpack[Layout],
) -> Bulk:
    """Label every record of `path` (as data.path names files) into a csv, jsonl, parquet or xlsx file; `max_error`, `costs`: see load.

    Raises FintuneError's kinds.
    """
    opened, target = (open_trained(run) if isinstance(run, (str, Path)) else run), Path(output)
    chosen = choose_engine(opened, engine_name)
    rule = chosen.rule(max_error, costs)
    check_output(target)
    first = path if isinstance(path, str) else path[0]
    task, own = opened.config().build_task(), opened.config().data
    name, encoding, told = layout.get("name"), layout.get("encoding"), layout.get("told")
    how = reading_like(own, task, first, name=name, encoding=encoding, need_label=False, told=told)
    text = layout.get("text_column") or how.columns.text
    how = replace(how, columns=replace(how.columns, text=text, date=None, group=None, keep=True))
    for place in (target, _errors_of(target)):
        if place.exists() and any(not s.hub and s.path.samefile(place) for s in expand(path)):
            raise RunError(f"{place}: is the file that is read", hint="Name another output.")
    _need_own(_errors_of(target))
    stream = _records(path, how)
    head = list(islice(stream, 1))  # a mistake in it is found before the model loads
    if not head:
        raise DataError(f"{first}: no texts", hint="Give it at least one row.")
    if isinstance(head[0], Fault) and head[0].kind == "column":
        raise fault_error(head[0])
    partial = target.with_name(f".{target.name}.partial")
    with locked(partial, hint="Wait for it, or name another output."), _left_clean(partial):
        done = _resume(partial, _identity(chosen, path, how, rule))
        _label(predictor_of(chosen, rule), islice(chain(head, stream), done, None), partial, done)
        return _finish(partial, target, columns_of(task, chosen.calibration, rule))


@contextmanager
def _left_clean(partial: Path) -> Iterator[None]:
    """Leave nothing of a job, however it ends, where nothing is labeled that it could go on from."""
    try:
        yield
    finally:
        if partial.is_file() and (whole := _whole_lines(partial)) >= CHUNK:
            tell("predict", f"{whole // CHUNK * CHUNK:,} records are labeled: the same command goes on from there")
        else:
            partial.unlink(missing_ok=True)
            partial.with_name(f".{partial.name}.lock").unlink(missing_ok=True)


def _whole_lines(partial: Path) -> int:
    """Return the number of records in a partial file: its lines but for the first."""
    with partial.open("rb") as file:
        return sum(line.endswith(b"\n") for line in file) - 1


def check_output(target: Path) -> None:
    """Refuse an output that could not be written. Raises RunError."""
    if target.suffix.lower() not in WRITERS:
        raise RunError(f"{target}: unknown kind of file", hint=f"Name a file that ends in {', '.join(WRITERS)}.")
    need_no_run_file(target)
    need_place(target)


def _records(path: str | Sequence[str], how: Reading) -> Iterator[Row | Fault]:
    for source in expand(path):
        yield from records(open_source(source, how), how)


def columns_of(task: Task, calibration: Calibration | None, rule: Rule | None) -> AnswerColumns:
    """Return the columns that answers have."""
    return AnswerColumns.of(task, sets=calibration is not None, abstain=rule is not None)


def _identity(chosen: ChosenEngine, path: str | Sequence[str], how: Reading, rule: Rule | None) -> dict[str, JsonValue]:
    """Return what must be the same for a job to go on."""
    source, engine = chosen.source, chosen.name
    export = (source.folder if isinstance(source, Export) else source.folder / "exports" / engine) / EXPORT_RECORD
    engine = sha256(export) if export.is_file() else engine
    inputs: list[JsonValue] = [None if one.hub else sha256(one.path) for one in expand(path)]
    return {
        "chunk": CHUNK,
        "inputs": inputs,
        "adapter": source.adapter_sha256(),
        "engine": engine,
        "settings": hashlib.sha256(dump(source.config()).encode()).hexdigest(),
        "calibration": None if chosen.calibration is None else chosen.calibration.model_dump(mode="json"),
        "rule": None if rule is None else rule.record(),
        "reading": json.loads(json.dumps(asdict(how))),
    }


def _resume(partial: Path, identity: Mapping[str, JsonValue]) -> int:
    """Cut the partial file to its last whole chunk, or begin it; returns the records that need not be read again."""
    ends = _line_ends(partial, identity)
    whole = (len(ends) - 1) // CHUNK * CHUNK if ends else 0
    if not ends:
        partial.write_text(json.dumps(identity) + "\n", encoding="utf-8")
        return 0
    with partial.open("r+b") as file:
        file.truncate(ends[whole])
    if whole:
        tell("predict", f"going on after {whole:,} records that an interrupted job has left")
    return whole


def _line_ends(partial: Path, identity: Mapping[str, JsonValue]) -> list[int]:
    """Return byte offsets behind every whole line, the first line's too; none when there is no such job."""
    if not partial.is_file():
        return []
    ends: list[int] = []
    at = 0
    with partial.open("rb") as file:
        for line in file:
            at += len(line)
            if not ends and not _is(line, identity):
                return []
            if line.endswith(b"\n"):
                ends.append(at)
    return ends


def _is(line: bytes, identity: Mapping[str, JsonValue]) -> bool:
    try:
        return bool(json.loads(line) == identity)
    except ValueError:
        return False


def _label(predictor: Predictor, stream: Iterator[Row | Fault], partial: Path, done: int) -> None:
    odd, first = 0, ""
    with partial.open("a", encoding="utf-8") as file:
        for chunk in _chunks(stream):
            long = [row.id for row in chunk if isinstance(row, Row) and row.text.count("\n") >= MANY_LINES]
            odd, first = odd + len(long), first or next(iter(long), "")
            file.write("".join(_lines(predictor, chunk)))
            file.flush()
            os.fsync(file.fileno())
            done += len(chunk)
            advance("predict", done, 0)
    if odd:
        warning = f"texts of more than {MANY_LINES} lines: {odd:,}, the first {first}"
        tell("predict", f"warning: {warning}; a quote that is closed too late makes one text of many rows")


def _lines(predictor: Predictor, chunk: Sequence[Row | Fault]) -> Iterator[str]:
    columns = columns_of(predictor.task, predictor.calibration, predictor.rule)
    readable = [row for row in chunk if isinstance(row, Row) and row.text]
    with listening(lambda event: None):
        predictions = iter(predictor([row.fields for row in readable], [row.id for row in readable]))
    for record in chunk:
        if isinstance(record, Fault):
            yield json.dumps({"id": record.where, "error": record.problem, "kind": record.kind}) + "\n"
        elif not record.text:
            yield json.dumps({"id": record.id, "error": "no text", "kind": "empty"}) + "\n"
        else:
            yield json_text(answer_row(next(predictions), columns) | {_KEPT: record.kept}) + "\n"


def _errors_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.errors.jsonl")


def _need_own(errors: Path) -> None:
    """Refuse to replace a file that is no list of errors."""
    if errors.exists():
        with errors.open("rb") as file:
            first = file.readline(10_000)
        if b'"error"' not in first:
            raise RunError(f"{errors}: exists and is no list of errors", hint="Name another output.")


def _finish(partial: Path, target: Path, columns: AnswerColumns) -> Bulk:
    """Turn the partial file into output and errors, each whole or not at all."""
    counts = {"labeled": 0, "unreadable": 0, "unread": 0}
    errors = _errors_of(target)
    names = columns.keeping(dict.fromkeys(name for record in _records_of(partial) for name in record.get(_KEPT, ())))
    if clashes := [f"{old} is {new}" for old, new in names.items() if old != new]:
        tell("predict", f"columns of the file that are called as columns of answers: {', '.join(clashes)}")
    with replacing(target) as staging, replacing(errors) as complaints, complaints.open("w", encoding="utf-8") as bad:
        answered = (_renamed(record, names) for record in _labeled(partial, counts, bad.write))
        WRITERS[target.suffix.lower()](staging, answered, replace(columns, kept=list(names.values())))
    if not counts["unreadable"]:
        errors.unlink()
    partial.unlink()
    return Bulk(
        labeled=counts["labeled"],
        unreadable=counts["unreadable"],
        output=target,
        errors=errors if counts["unreadable"] else None,
        rest_unread=bool(counts["unread"]),
    )


def _labeled(partial: Path, counts: dict[str, int], complain: Callable[[str], object]) -> Rows:
    for record in _records_of(partial):
        if "error" in record:
            counts["unreadable"] += 1
            counts["unread"] += record["kind"] == "unread"
            complain(json.dumps(record) + "\n")
        else:
            counts["labeled"] += 1
            yield record


def _records_of(partial: Path) -> Iterator[AnswerRow]:
    """Yield what is known of every record, one whose columns are kept or an error."""
    with partial.open(encoding="utf-8") as file:
        yield from map(json.loads, islice(file, 1, None))


def _renamed(record: AnswerRow, names: Mapping[str, str]) -> AnswerRow:
    """Return an answer with the columns of its record behind its own."""
    kept = record.pop(_KEPT)
    return record | {names[column]: value for column, value in kept.items()}


def _chunks(stream: Iterator[Row | Fault]) -> Iterator[list[Row | Fault]]:
    while chunk := list(islice(stream, CHUNK)):
        yield chunk

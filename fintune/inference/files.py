"""Texts in, predictions out, as files people open elsewhere: csv, jsonl, parquet and Excel."""

import codecs
import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from fintune.data.readers.formulas import SHARE, neutral
from fintune.data.readers.read import Reading, need_text, read
from fintune.data.readers.rows import plain_cell
from fintune.errors import BrokenEnvironment, DataError
from fintune.records import Prediction, Row
from fintune.runtime.files import replacing
from fintune.runtime.install import with_extra
from fintune.runtime.printable import json_text, legible
from fintune.runtime.progress import tell
from fintune.tasks import Task

_ROW_GROUP = 10_000
_PIECE, _SHEET, _WHOLE = 1 << 20, 1_048_576, 10**15
"""Bytes that are looked at at a time, rows of an Excel sheet, and the number up to which it holds every whole one."""


AnswerRow = dict[str, Any]
"""A prediction as answer_row has it."""
Rows = Iterable[AnswerRow]


def read_texts(
    fields: Sequence[str], texts: Sequence[str], file: str | None, reading: Reading | None = None
) -> list[Row]:
    """Return rows from arguments, a file (`reading` says how), or the lines of standard input.

    Raises DataError when there are none, when one is no text, or when a prompt of several fields is given texts alone.
    """
    if texts and file is not None:
        raise DataError("--file: texts were given as arguments too", hint="Give one or the other.")
    if file is None and len(fields) > 1:
        raise DataError(f"the prompt reads {', '.join(fields)}", hint="Give them as columns of a --file.")
    if file is not None:
        rows = list(read(file, reading))
    else:
        rows = list(
            _numbered(fields[0], texts, "argument ") if texts else _numbered(fields[0], _piped(), "standard input:")
        )
    texts_in = [row for row in rows if legible(row.text)]
    left_out = [row for row in rows if not legible(row.text) and (texts or file is not None or row.text)]
    if texts and left_out:
        raise DataError(f"argument {left_out[0].id}: nothing to read in it", hint="Give a text of letters or digits.")
    if not texts_in:
        raise DataError(f"{file or 'standard input'}: no texts", hint="Give at least one line of text.")
    if left_out:
        tell("predict", f"{left_out[0].id}: nothing to read in it, no label ({len(left_out)} of {len(rows)} such)")
    return texts_in


@dataclass(frozen=True, kw_only=True)
class AnswerColumns:
    """What answers to one task have in a file, beside id and text."""

    noun: str
    """What stands over the answers."""
    choices: Sequence[str]
    """Names of the choices that have a probability each."""
    confidence: bool
    """Whether the answer is one of them."""
    numbers: bool = False
    sets: bool = False
    """Whether each has the labels that the right one is among."""
    abstain: bool = False
    """Whether each says if a person should look."""
    kept: Sequence[str] = ()
    """Columns of the file that was read, behind these, by the names they have here."""

    @classmethod
    def of(cls, task: Task, *, sets: bool = False, abstain: bool = False) -> "AnswerColumns":
        """Return those of a task."""
        choices, kind = list(task.choices() or {}), task.kind
        return cls(
            noun=task.noun, choices=choices, confidence=kind == "labels", numbers=kind == "numbers", sets=sets, abstain=abstain
        )  # fmt: skip

    def own(self) -> dict[str, bool]:
        """Return names of the columns but the kept ones, and whether they hold numbers."""
        shares = dict.fromkeys((f"{SHARE}{choice}" for choice in self.choices), True)
        confidence = {"confidence": True} if self.confidence else {}
        sure = {"abstain": False} if self.abstain else {}
        sets = {"set": False} if self.sets else {}
        return {"id": False, self.noun: self.numbers, **confidence, **sure, **sets, **shares, "text": False}

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return [*self.own(), *self.kept]

    def keeping(self, columns: Iterable[str]) -> dict[str, str]:
        """Return the name here of each column that is kept: its own, with `_input` behind one that stands here already."""
        taken, names = {*self.own(), "probabilities"}, {}
        for column in (ordered := list(columns)):
            name = column
            while name in taken or (name != column and name in ordered):
                name += "_input"
            taken.add(name)
            names[column] = name
        return names


def answer_row(prediction: Prediction, columns: AnswerColumns) -> AnswerRow:
    """Return what programs read of a prediction: id, text, the answer by its noun, confidence, abstain, set, probabilities."""
    row: AnswerRow = {"id": prediction.id, "text": prediction.text, columns.noun: prediction.answer}
    row |= {"confidence": prediction.confidence} if columns.confidence else {}
    row |= {"abstain": prediction.abstain} if columns.abstain else {}
    row |= {"set": list(prediction.labels)} if columns.sets else {}
    return row | ({"probabilities": dict(prediction.probabilities)} if prediction.probabilities else {})


def json_line(prediction: Prediction, columns: AnswerColumns) -> str:
    """Return a JSON object and a line end, of answer_row."""
    return json_text(answer_row(prediction, columns)) + "\n"


def write_predictions(path: Path, predictions: Sequence[Prediction], columns: AnswerColumns) -> None:
    """Write csv, jsonl, parquet or xlsx, by the suffix of `path`, whole or not at all."""
    with replacing(path) as staging:
        rows = (json.loads(json_line(p, columns)) for p in predictions)
        WRITERS[path.suffix.lower()](staging, rows, columns)


def write_jsonl(path: Path, rows: Rows, columns: AnswerColumns) -> None:
    """Write one object a line, as json_line has them."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json_text(row) + "\n")


def write_csv(path: Path, rows: Rows, columns: AnswerColumns) -> None:
    """Write a header line, a column `p_<choice>` for every choice; no cell is a formula.

    UTF-8, with its mark where anything is beyond ASCII: without it Excel reads another encoding.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(neutral, columns.names()))
        for row in rows:
            own = [f"{v:.6f}" if isinstance(v, float) else neutral(v or "") for v in _flat(row, columns).values()]
            writer.writerow([*own, *(neutral(_as_text(row.get(name)) or "") for name in columns.kept)])
    _mark(path)


def _mark(path: Path) -> None:
    """Put the mark of UTF-8 before a file that holds more than ASCII."""
    with path.open("rb") as file:
        if all(piece.isascii() for piece in iter(lambda: file.read(_PIECE), b"")):
            return
        file.seek(0)
        marked = path.with_name(f"{path.name}.marked")
        with marked.open("wb") as target:
            target.write(codecs.BOM_UTF8)
            shutil.copyfileobj(file, target)
    marked.replace(path)


def write_xlsx(path: Path, rows: Rows, columns: AnswerColumns) -> None:
    """Write the columns of write_csv as a sheet; no cell is a formula. Raises BrokenEnvironment without openpyxl."""
    try:
        import openpyxl
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    except ImportError:
        raise BrokenEnvironment(f"{path}: writing xlsx needs openpyxl", hint=with_extra("formats")) from None
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("predictions")

    def cell(value: str | float | None) -> str | float:
        if isinstance(value, float | int):
            return value
        return _NOT_IN_XML.sub("", ILLEGAL_CHARACTERS_RE.sub("", neutral(value or "")))

    sheet.append([cell(name) for name in columns.names()])
    for number, row in enumerate(rows, start=2):
        if number > _SHEET:
            raise DataError(f"{path}: a sheet has {_SHEET:,} rows at most", hint="Name a .csv file.")
        kept = (_in_sheet(row.get(name)) for name in columns.kept)
        sheet.append([cell(value) for value in (*_flat(row, columns).values(), *kept)])
    book.save(path)


def write_parquet(path: Path, rows: Rows, columns: AnswerColumns) -> None:
    """Write the columns of write_csv, in row groups. Raises BrokenEnvironment without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise BrokenEnvironment(f"{path}: writing parquet needs pyarrow", hint=with_extra("formats")) from None

    flat = (_flat(row, columns) | {name: _as_text(row.get(name)) for name in columns.kept} for row in rows)
    kinds = {**columns.own(), **dict.fromkeys(columns.kept, False)}
    schema = pa.schema([(name, pa.float64() if number else pa.string()) for name, number in kinds.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(flat, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""What openpyxl writes, and no reader of a sheet takes."""
WRITERS: dict[str, Callable[[Path, Rows, AnswerColumns], None]] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
    ".xlsx": write_xlsx,
}
"""What writes a file of rows, by the file's suffix."""


def _flat(row: AnswerRow, columns: AnswerColumns) -> dict[str, str | float | None]:
    """Return a row as cells: a list is joined by `; `."""
    answer, shares = row[columns.noun], row.get("probabilities", {})
    cell = answer if columns.numbers else "; ".join(answer) if isinstance(answer, list | tuple) else answer or ""
    confidence = {"confidence": float(row["confidence"])} if columns.confidence else {}
    sure = {"abstain": str(row["abstain"]).lower()} if columns.abstain else {}
    sets = {"set": "; ".join(row["set"])} if columns.sets else {}
    by_choice = {f"{SHARE}{choice}": float(shares[choice]) for choice in columns.choices}
    return {"id": row["id"], columns.noun: cell, **confidence, **sure, **sets, **by_choice, "text": row["text"]}


def _as_text(kept: object) -> str | None:
    """Return a cell that was kept as text, lists and objects as JSON."""
    return json.dumps(kept, ensure_ascii=False) if isinstance(kept, list | dict) else plain_cell(kept)


def _in_sheet(kept: object) -> str | float | None:
    """Return the same, numbers that a sheet holds whole as numbers."""
    return kept if isinstance(kept, float) or (isinstance(kept, int) and abs(kept) < _WHOLE) else _as_text(kept)


def _numbered(field: str, texts: Iterable[str], where: str) -> Iterator[Row]:
    for i, text in enumerate(texts, start=1):
        need_text(text, f"{where}{i}")
        yield Row(str(i), {field: text.strip()}, None)


def _piped() -> Iterator[str]:
    """Yield lines of standard input; bytes that are not UTF-8 become lone surrogates, which need_text refuses."""
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("no texts given", hint='Type: fintune predict RUN "a sentence", or pipe lines into it.')
    for content in sys.stdin.buffer:
        yield content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")

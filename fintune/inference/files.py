"""Texts in, predictions out, as files people open elsewhere: csv, jsonl and parquet."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TypedDict

from fintune.data.readers.formulas import SHARE, neutral
from fintune.data.readers.read import Reading, need_text, read
from fintune.errors import BrokenEnvironment, DataError
from fintune.records import Prediction, Row
from fintune.runtime.files import replacing
from fintune.runtime.install import with_extra
from fintune.runtime.printable import json_text, legible
from fintune.runtime.progress import tell

_KEYS = ("id", "text", "label", "confidence", "probabilities")
_ROW_GROUP = 10_000


class AnswerRow(TypedDict):
    """A prediction as json_line has it."""

    id: str
    text: str
    label: str | None
    confidence: float
    probabilities: dict[str, float]


Rows = Iterable[AnswerRow]


def read_texts(texts: Sequence[str], file: str | None, reading: Reading | None = None) -> tuple[list[str], list[str]]:
    """Return ids and texts from arguments, a file (`reading` says how), or the lines of standard input.

    Raises DataError when there are none, or when one is no text.
    """
    if texts and file is not None:
        raise DataError("--file: texts were given as arguments too", hint="Give one or the other.")
    if file is not None:
        rows = list(read(file, reading))
    else:
        rows = list(_numbered(texts, "argument ") if texts else _numbered(_piped(), "standard input:"))
    texts_in = [row for row in rows if legible(row.text)]
    left_out = [row for row in rows if not legible(row.text) and (texts or file is not None or row.text)]
    if texts and left_out:
        raise DataError(f"argument {left_out[0].id}: nothing to read in it", hint="Give a text of letters or digits.")
    if not texts_in:
        raise DataError(f"{file or 'standard input'}: no texts", hint="Give at least one line of text.")
    if left_out:
        tell("predict", f"{left_out[0].id}: nothing to read in it, no label ({len(left_out)} of {len(rows)} such)")
    return [row.id for row in texts_in], [row.text for row in texts_in]


def json_line(prediction: Prediction) -> str:
    """Return a JSON object and a line end: id, text, label, confidence, probabilities."""
    row = asdict(prediction) | {"confidence": prediction.confidence}
    return json_text({key: row[key] for key in _KEYS}) + "\n"


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write csv, jsonl or parquet, by the suffix of `path`, whole or not at all."""
    with replacing(path) as staging:
        labels = list(predictions[0].probabilities) if predictions else []
        WRITERS[path.suffix.lower()](staging, (json.loads(json_line(p)) for p in predictions), labels)


def write_jsonl(path: Path, rows: Rows, labels: Sequence[str]) -> None:
    """Write one object a line, as json_line has them."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json_text(row) + "\n")


def write_csv(path: Path, rows: Rows, labels: Sequence[str]) -> None:
    """Write a header line, a column `p_<label>` for every label; no cell is a formula."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(neutral, _columns(labels)))
        for row in rows:
            writer.writerow([f"{v:.6f}" if isinstance(v, float) else neutral(v) for v in _flat(row).values()])


def write_parquet(path: Path, rows: Rows, labels: Sequence[str]) -> None:
    """Write the columns of write_csv, in row groups. Raises BrokenEnvironment without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise BrokenEnvironment(f"{path}: writing parquet needs pyarrow", hint=with_extra("formats")) from None

    flat = map(_flat, rows)
    schema = pa.schema([(name, pa.float64() if number else pa.string()) for name, number in _columns(labels).items()])
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(flat, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


WRITERS: dict[str, Callable[[Path, Rows, Sequence[str]], None]] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}
"""What writes a file of rows, by the file's suffix."""


def _columns(labels: Sequence[str]) -> dict[str, bool]:
    """Return names of the columns, and whether they hold numbers."""
    shares = dict.fromkeys((f"{SHARE}{label}" for label in labels), True)
    return {"id": False, "label": False, "confidence": True, **shares, "text": False}


def _flat(row: AnswerRow) -> dict[str, str | float]:
    shares = {f"{SHARE}{label}": float(p) for label, p in row["probabilities"].items()}
    return {
        "id": row["id"],
        "label": row["label"] or "",
        "confidence": float(row["confidence"]),
        **shares,
        "text": row["text"],
    }


def _numbered(texts: Iterable[str], where: str) -> Iterator[Row]:
    for i, text in enumerate(texts, start=1):
        need_text(text, f"{where}{i}")
        yield Row(str(i), text.strip(), None)


def _piped() -> Iterator[str]:
    """Yield lines of standard input; bytes that are not UTF-8 become lone surrogates, which need_text refuses."""
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("no texts given", hint='Type: fintune predict RUN "a sentence", or pipe lines into it.')
    for content in sys.stdin.buffer:
        yield content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")

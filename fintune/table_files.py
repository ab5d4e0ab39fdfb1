"""Texts in, predictions out, as files people open elsewhere: csv and jsonl."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from fintune.data.formats import Columns
from fintune.data.readers import read
from fintune.errors import DataError
from fintune.records import Prediction
from fintune.run import write_atomically


def read_texts(texts: Sequence[str], file: str | None, text_column: str) -> tuple[list[str], list[str]]:
    """Ids and texts from arguments, a file, or the lines of standard input. Raises DataError when there are none."""
    if texts and file:
        raise DataError("--file: texts were given as arguments too", hint="Give one or the other.")
    if file:
        rows = [row for row in read(file, columns=Columns(text=text_column, need_label=False)) if row.text]
        pairs = [(row.id, row.text) for row in rows]
    else:
        if not texts and (sys.stdin is None or sys.stdin.isatty()):
            raise DataError("no texts given", hint='Type: fintune predict RUN "a sentence", or pipe lines into it.')
        try:
            pairs = _numbered(texts or sys.stdin)
        except UnicodeDecodeError as error:
            raise DataError(f"standard input: not text: {error.reason}", hint="Pipe UTF-8 lines into it.") from None
    if not pairs:
        raise DataError(f"{file or 'standard input'}: no texts", hint="Give at least one line of text.")
    return [name for name, _ in pairs], [text for _, text in pairs]


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write csv or jsonl, by the suffix of `path`, whole or not at all."""
    write_atomically(path, json_lines(predictions) if path.suffix.lower() == ".jsonl" else _csv(predictions))


def json_lines(predictions: Sequence[Prediction]) -> str:
    """One JSON object a line: id, text, label, confidence, probabilities."""
    keys = ("id", "text", "label", "confidence", "probabilities")
    rows = [asdict(p) | {"confidence": p.confidence} for p in predictions]
    return "".join(json.dumps({key: row[key] for key in keys}, ensure_ascii=False) + "\n" for row in rows)


def _csv(predictions: Sequence[Prediction]) -> str:
    stream = io.StringIO()
    labels = list(predictions[0].probabilities) if predictions else []
    writer = csv.writer(stream)
    writer.writerow(["id", "label", "confidence", *(f"p_{label}" for label in labels), "text"])
    for p in predictions:
        writer.writerow(
            [p.id, p.label or "", f"{p.confidence:.6f}", *(f"{p.probabilities[n]:.6f}" for n in labels), p.text]
        )
    return stream.getvalue()


def _numbered(lines: Iterable[str]) -> list[tuple[str, str]]:
    return [(str(i), line.strip()) for i, line in enumerate(lines, start=1) if line.strip()]

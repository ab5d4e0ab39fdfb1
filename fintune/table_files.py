"""Texts in, predictions out, as files people open elsewhere: csv and jsonl."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fintune.data.readers import need_text, read
from fintune.errors import DataError
from fintune.records import Prediction, Row
from fintune.run import write_atomically


def read_texts(texts: Sequence[str], file: str | None, **reading: Any) -> tuple[list[str], list[str]]:
    """Ids and texts from arguments, a file (`reading` says how, see readers.read), or the lines of standard input.

    Raises DataError when there are none, or when one is no text.
    """
    if texts and file is not None:
        raise DataError("--file: texts were given as arguments too", hint="Give one or the other.")
    if file is not None:
        rows = read(file, **reading)
    elif texts:
        rows = _numbered(texts, "argument ")
    else:
        rows = _numbered(_piped(), "standard input:")
    found = [row for row in rows if row.text]
    if not found:
        raise DataError(f"{file or 'standard input'}: no texts", hint="Give at least one line of text.")
    return [row.id for row in found], [row.text for row in found]


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


def _numbered(texts: Iterable[str], where: str) -> Iterator[Row]:
    for i, text in enumerate(texts, start=1):
        need_text(text, f"{where}{i}")
        yield Row(str(i), text.strip(), None)


def _piped() -> Iterator[str]:
    """Lines of standard input; bytes that are not UTF-8 become lone surrogates, which need_text refuses."""
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("no texts given", hint='Type: fintune predict RUN "a sentence", or pipe lines into it.')
    for content in sys.stdin.buffer:
        yield content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")

"""One function per file format, each from a file to rows, and the registry that names them.

A format function yields `(line, text, label)`; `readers` turns that into Row and decides which format a file has.
To add a format: write a function, put it into FORMATS; settings, detection and docs follow.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fintune.errors import DataError, did_you_mean

Record = tuple[int, str, str | None]
"""line number (from 1), text, label or None"""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold text and label, and whether a label must be there."""

    text: str = "text"
    label: str = "label"
    need_label: bool = True


@dataclass(frozen=True)
class Format:
    """How a kind of file is recognised and read."""

    name: str
    summary: str
    suffixes: tuple[str, ...]
    encoding: str
    """used when the config leaves `data.encoding` out"""
    read: Callable[[Path, str, Columns], Iterator[Record]]


def read_csv(path: Path, encoding: str, columns: Columns) -> Iterator[Record]:
    """Comma-separated with a header line; quoted fields may hold commas and line breaks."""
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.DictReader(file, strict=True)
        line = 1
        try:
            _need_columns(path, 1, list(reader.fieldnames or []), columns)
            line = reader.line_num + 1
            for values in reader:
                _need_whole(path, line, values)
                yield line, values[columns.text], values.get(columns.label)
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path}:{line}: not readable as csv: {error}",
                hint="Check quotes and line ends around that line.",
            ) from None


def read_jsonl(path: Path, encoding: str, columns: Columns) -> Iterator[Record]:
    """One JSON object a line."""
    with path.open(encoding=encoding) as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                values = json.loads(content)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DataError(
                    f"{path}:{line}: not JSON: {error}", hint="Write one JSON object on each line."
                ) from None
            if not isinstance(values, dict):
                raise DataError(
                    f"{path}:{line}: found {type(values).__name__}, not a JSON object",
                    hint='Write lines such as {"text": "...", "label": "..."}.',
                )
            _need_columns(path, line, list(values), columns)
            text, label = values[columns.text], values.get(columns.label)
            if not isinstance(text, str):
                raise DataError(
                    f"{path}:{line}: '{columns.text}' is {type(text).__name__}, not text",
                    hint="Choose the column with data.text_column.",
                )
            yield line, text, None if label is None else str(label)


def read_phrasebank(path: Path, encoding: str, columns: Columns) -> Iterator[Record]:
    """Financial PhraseBank: `sentence@label` on each line."""
    with path.open(encoding=encoding) as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            text, at, label = content.rstrip("\r\n").rpartition("@")
            if not at and columns.need_label:
                raise DataError(
                    f"{path}:{line}: no '@' between sentence and label", hint="Choose data.format: csv or jsonl."
                )
            yield line, (text if at else label), (label.strip() if at else None)


def read_lines(path: Path, encoding: str, columns: Columns) -> Iterator[Record]:
    """Plain text, one unlabelled text a line (for predicting)."""
    if columns.need_label:
        raise DataError(f"{path}: plain lines carry no label", hint="Choose data.format: csv, jsonl or phrasebank.")
    with path.open(encoding=encoding) as file:
        for line, content in enumerate(file, start=1):
            if content.strip():
                yield line, content.rstrip("\r\n"), None


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("csv", "header line, then a row a record; quoted line breaks allowed", (".csv",), "utf-8-sig", read_csv),
        Format("jsonl", "one JSON object a line", (".jsonl", ".ndjson"), "utf-8-sig", read_jsonl),
        Format("phrasebank", "`sentence@label` a line, as Financial PhraseBank has it", (), "latin-1", read_phrasebank),
        Format("lines", "one unlabelled text a line (predict only)", (".txt",), "utf-8-sig", read_lines),
    )
}


def _need_whole(path: Path, line: int, values: dict[str | None, Any]) -> None:
    """Refuse a csv record with more or fewer fields than the header."""
    missing, extra = sum(value is None for value in values.values()), len(values.get(None) or [])
    if missing or extra:
        header = len(values) - (None in values)
        raise DataError(
            f"{path}:{line}: {header - missing + extra} fields where the header has {header}",
            hint="Put fields that contain commas into double quotes.",
        )


def _need_columns(path: Path, line: int, found: list[str], columns: Columns) -> None:
    wanted = {"data.text_column": columns.text}
    if columns.need_label:
        wanted["data.label_column"] = columns.label
    for setting, column in wanted.items():
        if column not in found:
            raise DataError(
                f"{path}:{line}: no column '{column}'; found {', '.join(found) or 'nothing'}",
                hint=f"{did_you_mean(column, found)} Set {setting} to the right one.",
            )

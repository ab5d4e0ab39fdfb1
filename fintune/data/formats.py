"""One function per file format, each from a file to rows, and the registry that names them.

A format function yields `(line, text, label)`; `readers` turns that into Row and decides which format a file has.
To add a format: write a function, put it into FORMATS; settings, detection and docs follow.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

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
    """Comma-separated with a header line; quoted fields may hold commas and line breaks, blank lines are passed over."""
    with path.open(encoding=encoding, newline="") as file:
        records = _csv_records(path, file)
        line, header = next(records, (1, []))
        _need_columns(path, line, header, columns)
        text, label = header.index(columns.text), header.index(columns.label) if columns.label in header else None
        for line, fields in records:
            if len(fields) != len(header):
                raise DataError(
                    f"{path}:{line}: {len(fields)} fields where the header has {len(header)}",
                    hint="Put fields that contain commas into double quotes.",
                )
            yield line, fields[text], None if label is None else fields[label]


def _csv_records(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line on which it starts."""
    reader = csv.reader(file, strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: not readable as csv: {error}", hint="Check quotes and line ends around that line."
        ) from None


def read_jsonl(path: Path, encoding: str, columns: Columns) -> Iterator[Record]:
    """One JSON object a line."""
    with path.open(encoding=encoding) as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                values = json.loads(content)
            except (ValueError, RecursionError) as error:
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


def _need_columns(path: Path, line: int, found: list[str], columns: Columns) -> None:
    wanted = {"data.text_column": columns.text}
    if columns.need_label:
        wanted["data.label_column"] = columns.label
    for setting, column in wanted.items():
        if column not in found:
            raise DataError(
                f"{path}:{line}: no column '{column}'; found {', '.join(found) or 'nothing'}",
                hint=f"{did_you_mean(column, found)} Set {setting} to the right one."
                if found
                else "Give it a header line.",
            )
        if found.count(column) > 1:
            raise DataError(f"{path}:{line}: column '{column}' stands there twice", hint="Rename one of them.")

"""csv and tsv: the delimiter is found, a header line is used where columns have names, quoted fields may hold line breaks.

Between tabs quotes are characters as any other, unless they enclose fields throughout the file.
"""

import csv
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fintune.data.readers.columns import (
    LONGEST_RECORD,
    Broken,
    Columns,
    Fields,
    Opening,
    cells,
    distinct,
    lines,
    need_columns,
)
from fintune.data.readers.formulas import restoring
from fintune.data.readers.preamble import MOST_ABOVE, header_at, named
from fintune.data.readers.quotation import RowShape, are_enclosed, shape_of

CsvRecords = Iterator[tuple[int, list[str] | Broken]]

DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 50
"""Lines looked at to find the delimiter."""
_FIRST = 1000
"""Lines looked at to find what a row looks like."""


def read_csv(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Rows with a header line, or without one where columns are numbers (or `header: false`); all of one width."""
    csv.field_size_limit(LONGEST_RECORD)
    delimiter = opening.delimiter or find_delimiter(path, opening)
    shape = _shape(path, opening, delimiter)
    records, width, whose = _records_of(path, opening, delimiter, shape), shape.width, "most rows have"
    names: list[str] | None = None
    if _has_header(opening):
        line, header, records = _from_header(records, opening.columns)
        width, whose = len(header), "the header has"
        if not opening.columns.by_number():
            names = named(header, opening.columns)
            need_columns(opening, line, names)
            names = distinct(names)
    else:
        records = restoring(records)
    for line, record in records:
        yield line, record if isinstance(record, Broken) else _row(record, names, width, whose)


def _from_header(records: CsvRecords, columns: Columns) -> tuple[int, list[str], CsvRecords]:
    """Return the row of names, its line, and the records behind it; what stands above it is no record."""
    first = list(itertools.islice(records, MOST_ABOVE))
    place = header_at([[] if isinstance(record, Broken) else record for _, record in first], columns)
    behind = restoring(itertools.chain(first[place:], records))
    line, header = next(behind, (1, []))
    return line, [] if isinstance(header, Broken) else header, behind


def _row(record: list[str], names: list[str] | None, width: int, whose: str) -> Fields | Broken:
    """Return a record under its names or numbers; one of another width would be read at the wrong places."""
    if len(record) != width:
        problem = f"{len(record)} fields where {whose} {width}"
        return Broken(problem, "Put fields that contain the delimiter into double quotes.")
    return cells(record) if names is None else dict(zip(names, record, strict=True))


def read_tsv(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Read csv whose delimiter is the tab."""
    return read_csv(path, replace(opening, delimiter="\t"))


def find_delimiter(path: Path, opening: Opening) -> str:
    """Return the delimiter under which the header holds the wanted columns; without such a header, what clevercsv finds."""
    found = itertools.islice(lines(path, opening.encoding, newline=""), _SAMPLE)
    sample = [content for _, content in found if isinstance(content, str)]
    headers = {delimiter: _header(sample, delimiter, opening.columns) for delimiter in DELIMITERS}
    for delimiter, names in headers.items():
        if opening.columns.within(names):
            return delimiter
    if not opening.columns.by_number():  # the wrong names: split it as far as it goes, for the error to list
        return max(DELIMITERS, key=lambda delimiter: len(headers[delimiter]))
    return _sniff("".join(sample))


def _sniff(sample: str) -> str:
    import clevercsv

    try:
        dialect = clevercsv.Sniffer().sniff(sample[:20_000], delimiters=list(DELIMITERS))
    except (clevercsv.Error, ValueError):
        return ","
    return (dialect and dialect.delimiter) or ","


def _header(sample: list[str], delimiter: str, columns: Columns) -> list[str]:
    try:
        rows = [fields for fields in csv.reader(iter(sample), delimiter=delimiter) if fields]
    except csv.Error:
        return []
    return named(rows[header_at(rows, columns)], columns) if rows else []


def _has_header(opening: Opening) -> bool:
    return not opening.columns.by_number() if opening.header is None else opening.header


class _Feed:
    """Lines for csv.reader, which remembers those of the record at hand and can give all but the first of them again."""

    def __init__(self, path: Path, opening: Opening) -> None:
        self._source = lines(path, opening.encoding, newline="")
        self._given: deque[tuple[int, str | Broken]] = deque()
        self._again: deque[tuple[int, str | Broken]] = deque()
        self.record: list[str] = []
        """The lines of the record that was read last."""

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        number, content = self._again.popleft() if self._again else next(self._source)
        self._given.append((number, content))
        return '"x"x' if isinstance(content, Broken) else content  # a quote at which csv takes offence

    @property
    def first(self) -> tuple[int, str | Broken]:
        """The line on which the record at hand starts."""
        return self._given[0]

    def forget(self) -> None:
        """Begin the next record with the next line."""
        self.record = self.lines
        self._given.clear()

    @property
    def lines(self) -> list[str]:
        """The lines of the record at hand."""
        return [content for _, content in self._given if isinstance(content, str)]

    @property
    def last(self) -> int:
        """The number of the line on which the record at hand ends."""
        return self._given[-1][0]

    def rewind(self) -> None:
        """Give the lines of the record at hand again, but for the first."""
        self._given.popleft()
        self._again.extendleft(reversed(self._given))
        self._given.clear()


def _records_of(
    path: Path, opening: Opening, delimiter: str, shape: RowShape
) -> Iterator[tuple[int, list[str] | Broken]]:
    """Return the records of a file, its use of quotes found out before."""
    literal = delimiter == "\t" and not _enclose(path, opening, shape)
    return _records(_Feed(path, opening), delimiter, shape, csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL)


def _shape(path: Path, opening: Opening, delimiter: str) -> RowShape:
    """Return what rows look like, from the header and the first records."""
    feed = _Feed(path, opening)
    found = itertools.takewhile(lambda record: record[0] <= _FIRST, _records(feed, delimiter))
    sample = [(fields, len(feed.record) == 1) for _, fields in found if isinstance(fields, list)]
    names = None
    if sample and _has_header(opening):
        place = header_at([fields for fields, _ in sample], opening.columns)
        names, sample = named(sample[place][0], opening.columns), sample[place + 1 :]
    shape = shape_of([fields for fields, _ in sample], delimiter, opening.columns, names)
    for fields, on_one_line in sample:
        if on_one_line:
            shape.learn(fields)
    return shape


def _enclose(path: Path, opening: Opening, shape: RowShape) -> bool:
    """Whether quotes enclose fields throughout a file: in more of the records that hold any than not."""
    feed, sound, other = _Feed(path, opening), 0, 0
    for _, record in _records(feed, "\t", shape):
        if isinstance(record, Broken):
            other += 1
        elif any('"' in line for line in feed.record):
            sound, other = (sound + 1, other) if are_enclosed("".join(feed.record)) else (sound, other + 1)
    return sound > other


def _records(
    feed: _Feed, delimiter: str, shape: RowShape | None = None, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
) -> Iterator[tuple[int, list[str] | Broken]]:
    """Each record that is not blank, with the line on which it starts.

    Reading goes on with the line behind the one on which a broken record starts: a quote that is never closed, or closed
    rows below, costs one row.
    """
    while True:
        try:
            for fields in csv.reader(feed, delimiter=delimiter, strict=True, quoting=quoting):
                line = feed.first[0]
                if shape is not None:
                    _need_one_row(feed, fields, shape)
                feed.forget()
                if fields:
                    yield line, fields
            return
        except csv.Error as error:
            line, content = feed.first
            told = Broken(f"not readable as csv: {error}", "Check quotes and line ends around that line.")
            feed.rewind()
            yield line, content if isinstance(content, Broken) else told


def _need_one_row(feed: _Feed, fields: list[str], shape: RowShape) -> None:
    """Refuse a record that has swallowed others; learn from one that stands on one line."""
    lines = feed.lines
    if len(lines) == 1:
        shape.learn(fields)
    elif shape.swallows(lines):
        raise csv.Error(f"a quote opened here ends on line {feed.last}, over lines that look like rows of their own")

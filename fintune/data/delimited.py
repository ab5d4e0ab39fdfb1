"""csv and tsv: the delimiter is found, a header line is used where columns have names, quoted fields may hold line breaks."""

import csv
import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from fintune.data.opening import LONGEST, Broken, Fields, Opening, cells, lines, need_columns

DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 50
"""lines looked at to find the delimiter"""


def read_csv(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Rows with a header line, or without one where columns are numbers (or `header: false`)."""
    csv.field_size_limit(LONGEST)
    records = _records(path, opening, opening.delimiter or find_delimiter(path, opening))
    numbered = opening.columns.by_number()
    if opening.header is False or (opening.header is None and numbered):
        for line, record in records:
            yield line, record if isinstance(record, Broken) else cells(record)
        return
    line, header = next(records, (1, []))
    names = [] if isinstance(header, Broken) else header
    if not numbered:
        need_columns(opening, line, names)
    for line, record in records:
        if isinstance(record, Broken):
            yield line, record
        elif len(record) != len(names):
            problem = f"{len(record)} fields where the header has {len(names)}"
            yield line, Broken(problem, "Put fields that contain the delimiter into double quotes.")
        else:
            yield line, cells(record) if numbered else dict(zip(names, record, strict=True))


def read_tsv(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """csv whose delimiter is the tab."""
    known = Opening(opening.name, opening.columns, opening.encoding, "\t", opening.header)
    return read_csv(path, known)


def find_delimiter(path: Path, opening: Opening) -> str:
    """The delimiter under which the header holds the wanted columns; without such a header, what clevercsv finds."""
    found = itertools.islice(lines(path, opening.encoding, newline=""), _SAMPLE)
    sample = [content for _, content in found if isinstance(content, str)]
    wanted = set(opening.columns.wanted().values())
    headers = {delimiter: _header(sample, delimiter) for delimiter in DELIMITERS}
    for delimiter, names in headers.items():
        if wanted <= set(names):
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


def _header(sample: list[str], delimiter: str) -> list[str]:
    try:
        return next((fields for fields in csv.reader(iter(sample), delimiter=delimiter) if fields), [])
    except csv.Error:
        return []


class _Feed:
    """Lines for csv.reader, which remembers those of the record at hand and can give all but the first of them again."""

    def __init__(self, path: Path, opening: Opening) -> None:
        self._source = lines(path, opening.encoding, newline="")
        self._given: deque[tuple[int, str | Broken]] = deque()
        self._again: deque[tuple[int, str | Broken]] = deque()

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
        """The next record starts with the next line."""
        self._given.clear()

    def rewind(self) -> None:
        """Give the lines of the record at hand again, but for the first."""
        self._given.popleft()
        self._again.extendleft(reversed(self._given))
        self._given.clear()


def _records(path: Path, opening: Opening, delimiter: str) -> Iterator[tuple[int, list[str] | Broken]]:
    """Each record that is not blank, with the line on which it starts.

    Reading goes on with the line behind the one on which a broken record starts: a quote that is never closed costs one row.
    """
    feed = _Feed(path, opening)
    while True:
        try:
            for fields in csv.reader(feed, delimiter=delimiter, strict=True):
                line = feed.first[0]
                feed.forget()
                if fields:
                    yield line, fields
            return
        except csv.Error as error:
            line, content = feed.first
            told = Broken(f"not readable as csv: {error}", "Check quotes and line ends around that line.")
            feed.rewind()
            yield line, content if isinstance(content, Broken) else told

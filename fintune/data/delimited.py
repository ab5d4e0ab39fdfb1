"""csv and tsv: the delimiter is found, a header line is used where columns have names, quoted fields may hold line breaks."""

import csv
import itertools
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
    if opening.header is False or (opening.header is None and opening.columns.by_number()):
        for line, record in records:
            yield line, record if isinstance(record, Broken) else cells(record)
        return
    line, header = next(records, (1, []))
    names = [] if isinstance(header, Broken) else header
    need_columns(opening, line, names)
    for line, record in records:
        if isinstance(record, Broken):
            yield line, record
        elif len(record) != len(names):
            problem = f"{len(record)} fields where the header has {len(names)}"
            yield line, Broken(problem, "Put fields that contain the delimiter into double quotes.")
        else:
            yield line, dict(zip(names, record, strict=True))


def read_tsv(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """csv whose delimiter is the tab."""
    known = Opening(opening.name, opening.columns, opening.encoding, "\t", opening.header)
    return read_csv(path, known)


def find_delimiter(path: Path, opening: Opening) -> str:
    """The delimiter under which the header holds the wanted columns; without such a header, what clevercsv finds."""
    sample = [content for _, content in itertools.islice(_contents(path, opening), _SAMPLE)]
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


def _contents(path: Path, opening: Opening, long: dict[int, Broken] | None = None) -> Iterator[tuple[int, str]]:
    """Lines as csv wants them; one that is too long goes into `long` and gives way to a quote at which csv takes offence."""
    for number, content in lines(path, opening.encoding, newline=""):
        if isinstance(content, Broken) and long is not None:
            long[number] = content
        yield number, '"x"x' if isinstance(content, Broken) else content


def _records(path: Path, opening: Opening, delimiter: str) -> Iterator[tuple[int, list[str] | Broken]]:
    """Each record that is not blank, with the line on which it starts; reading goes on behind a broken one."""
    long: dict[int, Broken] = {}
    contents = (content for _, content in _contents(path, opening, long))
    reader = csv.reader(contents, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            told = Broken(f"not readable as csv: {error}", "Check quotes and line ends around that line.")
            yield line, long.pop(reader.line_num, told)
        else:
            if fields is None:
                return
            if fields:
                yield line, fields
        line = reader.line_num + 1

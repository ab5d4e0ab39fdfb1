"""The first records of a file, every column of them, however the file is written; what had to be found out to read it.

Example:
    sample = sample_of("complaints.csv")
    sample.format, sample.delimiter, sample.names
    # ('csv', ',', ['complaint', 'category'])
"""

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fintune.data.guess.header import has_header
from fintune.data.guess.kinds import TOKENS, UNLABELED, OtherKind, is_tagged
from fintune.data.guess.sheets import notes_of
from fintune.data.readers.columns import Broken, Columns, Opening, lines, value_at
from fintune.data.readers.delimited import DELIMITERS
from fintune.data.readers.explode import exploded
from fintune.data.readers.formats import READERS
from fintune.data.readers.preamble import header_at
from fintune.data.readers.read import Opened, Reading, open_source
from fintune.data.readers.sources import expand
from fintune.errors import DataError

_DELIMITERS = (*DELIMITERS, "~", "^", "¦", "\x1f", "\x01")
MOST = 2_000
"""Records that are looked at; a label set is read from all."""
_LINES = 100
_DEEPEST, _WIDEST = 6, 200
_REGULAR = 0.9
"""Share of lines with the same number of fields that makes a table of a text file."""
_OF_ONE = 0.9
"""Share of lists with one element from which on its place is a column."""

Record = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the first records hold, and how they were read."""

    path: str
    format: str
    format_found: bool
    """Whether it is not what the file's ending says."""
    encoding: str
    delimiter: str | None
    header: bool | None
    """Whether the first row names the columns; None where records have names."""
    names: Sequence[str]
    records: Sequence[Record]
    whole: bool
    """Whether these are all of the first file."""
    raw: Sequence[Record]
    """The records before nested values became columns."""
    files: Sequence[Opened]
    """All files, as they are read."""
    broken: Sequence[tuple[int | str, str]] = ()
    """Records that cannot be read: line, problem."""
    notes: Sequence[str] = ()
    """What stands above the table, or on other sheets."""
    other: OtherKind | None = None
    """What the file holds, where that is no labeled text."""
    explode: str | None = None
    """Column each entry of which is a record (data.explode)."""


def sample_of(paths: Sequence[str], given: Mapping[str, object]) -> Sample:
    """Read the first records of the first file; `given` are settings of section data. Raises DataError when there are none."""
    format, encoding, delimiter = (str(given.get(name, "auto")) for name in ("format", "encoding", "delimiter"))
    header = given.get("header")
    how = Reading(
        format=format,
        encoding=encoding,
        delimiter=delimiter,
        header=header if isinstance(header, bool) else None,
        columns=Columns.all(),
    )
    sources = expand(paths)
    opened = [open_source(source, how) for source in sources]
    first, found = _as_table(opened[0]) if how.format == "auto" else (opened[0], False)
    settled = _settled(first, how)
    files = [
        settled,
        *(replace(one, format=settled.format, opening=_like(one.opening, settled.opening)) for one in opened[1:]),
    ]
    broken: list[tuple[int | str, str]] = []
    explode = str(given["explode"]) if given.get("explode") is not None else None
    records = list(itertools.islice(_plain(settled, broken, explode), MOST + 1))
    if not records:
        raise DataError(
            f"{first.source.reference}: no row could be read",
            hint="Give it rows below its line of names; or set section data: fintune init run.yaml.",
        )
    flat = _flat(records[:MOST])
    return Sample(
        path=first.source.reference,
        format=settled.format.name,
        format_found=found,
        encoding=settled.opening.encoding.removesuffix("-sig"),
        delimiter=settled.opening.delimiter,
        header=settled.opening.header,
        names=_names(flat),
        records=flat,
        whole=len(records) <= MOST,
        raw=records[:MOST],
        files=files,
        broken=broken,
        notes=_notes(settled),
        other=_other(settled),
        explode=explode,
    )


def _other(opened: Opened) -> OtherKind | None:
    """Return what a file of lines holds that is no labeled text."""
    if opened.format.name in ("csv", "tsv", "lines") and is_tagged(_head(opened)):
        return TOKENS
    return UNLABELED if opened.format.name == "lines" else None


def every_record(sample: Sample) -> Iterator[Record]:
    """Yield the records of all files, nested values as they are."""
    for opened in sample.files:
        yield from _plain(opened, explode=sample.explode)


def _settled(opened: Opened, how: Reading) -> Opened:
    """Return a source whose delimiter is known, and whether it has a line of names."""
    opening, name = opened.opening, opened.format.name
    if name in ("csv", "tsv"):
        opening = replace(opening, delimiter=opening.delimiter or ("\t" if name == "tsv" else find_delimiter(opened)))
    if name in ("csv", "tsv", "xlsx"):
        found = itertools.islice(_plain(replace(opened, opening=replace(opening, header=False))), _LINES)
        rows = [list(record.values()) for record in found]
        named = how.header if how.header is not None else has_header(rows[header_at(rows, opening.columns) :])
        opening = replace(opening, header=named)
    return replace(opened, opening=opening)


def _like(opening: Opening, first: Opening) -> Opening:
    return replace(opening, delimiter=first.delimiter, header=first.header)


def _as_table(opened: Opened) -> tuple[Opened, bool]:
    """Return a text file as csv where nearly all lines have the same fields, and whether it is that."""
    if opened.format.name != "lines":
        return opened, False
    head = _head(opened)
    share, *_ = max(_regularity(head, delimiter) for delimiter in _DELIMITERS)
    if share < _REGULAR or is_tagged(head):
        return opened, False
    return replace(opened, format=READERS["csv"], opening=replace(opened.opening, columns=Columns.all())), True


def _head(opened: Opened) -> list[str]:
    found = itertools.islice(lines(opened.source.path, opened.opening.encoding, newline=""), _LINES)
    return [line for _, line in found if isinstance(line, str)]


def _plain(
    opened: Opened, broken: list[tuple[int | str, str]] | None = None, explode: str | None = None
) -> Iterator[Record]:
    """Yield records that can be read, one of each entry of `explode`; `broken` takes what is wrong with the others."""
    for line, fields in opened.format.read(opened.source.path, opened.opening):
        for entry in exploded(fields, explode):
            if not isinstance(entry, Broken):
                yield entry
            elif broken is not None:
                broken.append((line, entry.problem))


def _notes(opened: Opened) -> list[str]:
    """Return the lines of a text file before its first record, and what other sheets of a book hold."""
    if opened.format.name in ("csv", "tsv"):
        first = next(
            (
                line
                for line, fields in opened.format.read(opened.source.path, opened.opening)
                if not isinstance(fields, Broken)
            ),
            1,
        )
        return _head(opened)[: int(first) - 1]
    return list(notes_of(opened)) if opened.format.name == "xlsx" else []


def find_delimiter(opened: Opened) -> str:
    """Return the delimiter by which most lines have one number of fields, and more than one.

    Of several, one by which the first line has it too; of these, that of most fields.
    """
    content = _head(opened)
    return max(_DELIMITERS, key=lambda delimiter: _regularity(content, delimiter))


def _regularity(content: Sequence[str], delimiter: str) -> tuple[float, bool, int]:
    """Return the share of lines with the same number of fields, whether the first is one of them, and that number."""
    try:
        rows = [row for row in csv.reader(iter(content), delimiter=delimiter) if row]
    except csv.Error:
        return 0.0, False, 0
    widths = Counter(len(row) for row in rows if not _torn(row))
    width, count = max(widths.items(), key=lambda pair: pair[1], default=(0, 0))
    return (round(count / len(rows), 1), len(rows[0]) == width, width) if width > 1 else (0.0, False, 0)


def _torn(row: Sequence[str]) -> bool:
    """Whether a field was cut inside quotation marks, as "51,3 million" is by a comma where fields are parted by semicolons."""
    return any(field.count('"') % 2 for field in row)


def _names(records: Sequence[Record]) -> list[str]:
    """Return every column, in the order in which it first appears."""
    return list(dict.fromkeys(name for record in records for name in record if name))


def _flat(records: Sequence[Record]) -> list[Record]:
    """Return records whose nested values are columns by path (`info.0.score`), as far as every record has them there."""
    paths = list(_paths(records, ""))
    if all("." not in path for path in paths):
        return list(records)
    return [{path: value_at(record, path) for path in paths} for record in records]


def _paths(records: Sequence[Record], prefix: str) -> Iterator[str]:
    for name in _names(records)[:_WIDEST]:
        values = [value for record in records if (value := record.get(name)) is not None]
        yield from _inner(values, f"{prefix}{name}")


def _inner(values: Sequence[object], path: str) -> Iterator[str]:
    objects = [value for value in values if isinstance(value, Mapping)]
    lists = [value for value in values if isinstance(value, list) and value]
    if path.count(".") < _DEEPEST and objects and len(objects) == len(values):
        yield from _paths(objects, f"{path}.")
    elif path.count(".") < _DEEPEST and lists and sum(len(one) == 1 for one in lists) >= _OF_ONE * len(values):
        yield from _inner([one[0] for one in lists], f"{path}.0")
    else:
        yield path


def name_of(path: str) -> str:
    """Return the file's name without its ending, as a run may be called."""
    return Path(path.partition("#")[0]).name.split(".")[0]

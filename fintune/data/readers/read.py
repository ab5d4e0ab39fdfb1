"""From paths to rows: finds format, encoding and delimiter, and turns every defect into a Fault that names file and line.

Example:
    rows = list(read("news.csv"))
    rows[0]
    # Row(id='news.csv:2', fields={'text': 'Profit rose.'}, target='positive', ...)
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from fintune.data.readers.columns import (
    Broken,
    Columns,
    Fields,
    Opening,
    fault_error,
)
from fintune.data.readers.encodings import check_encoding, find_encoding
from fintune.data.readers.explode import exploded
from fintune.data.readers.formats import READERS, Reader
from fintune.data.readers.hub_datasets import is_saved
from fintune.data.readers.packed import inner, is_packed, open_bytes
from fintune.data.readers.rows import RowMaker, no_text
from fintune.data.readers.sources import Source, expand
from fintune.errors import BrokenEnvironment, DataError, did_you_mean
from fintune.records import Fault, Row
from fintune.runtime.install import with_extra

_PHRASEBANK_LINE = re.compile(rb".+@[a-z]+\s*")
_WIDE = ("utf-16", "utf-32", "utf_16", "utf_32")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files are read: section `data` of a config, or what a command was told; "auto" is found for each file."""

    format: str = "auto"
    encoding: str = "auto"
    delimiter: str = "auto"
    header: bool | None = None
    columns: Columns = field(default_factory=Columns)
    label_map: Mapping[str, str] = field(default_factory=dict)
    decimal: str = "."
    """Decimal mark of numbers among the labels."""
    closed: bool = True
    """Whether a label that the map does not know is none of the task's."""
    redact: Sequence[str] = ()
    labels: Sequence[str] = ()
    """Those of the task, where it has such."""
    label: str | None = None
    """The label of every row, where no column has one."""
    agreement: float | None = None
    """Share of the annotators who chose the label, of every row."""
    cuts: Mapping[float, str] = field(default_factory=dict)
    """Labels of numbers, each by the value up to which it goes."""
    where: Mapping[str, object] = field(default_factory=dict)
    """Rows that are wanted, see Conditions."""
    weight: float = 1.0
    """Of every row, beside that of its column."""


@dataclass(frozen=True)
class Opened:
    """A source whose format, encoding and delimiter are known."""

    source: Source
    format: Reader
    opening: Opening


def read(
    paths: str | Sequence[str], reading: Reading | None = None, *, faults: Callable[[Fault], None] | None = None
) -> Iterator[Row]:
    """Rows of all files, one at a time. The first Fault raises DataError, unless `faults` takes them."""
    how = reading or Reading()
    for source in expand(paths):
        yield from rows(open_source(source, how), how, faults=faults)


def open_source(source: Source, reading: Reading) -> Opened:
    """Find out what is not said. Raises DataError when a file is empty, binary, or of no known format."""
    if reading.format != "auto" and reading.format not in READERS:
        raise DataError(
            f"{source.reference}: unknown format '{reading.format}'",
            hint=did_you_mean(reading.format, ["auto", *READERS]),
        )
    reader = _reader_of(source, reading)
    if reader.need and find_spec(reader.need) is None:
        raise BrokenEnvironment(
            f"{source.reference}: reading {reader.name} needs {reader.need}", hint=with_extra("formats")
        )
    if source.part and not reader.parts:
        raise DataError(
            f"{source.reference}: {reader.name} has no part '{source.part}'", hint=f"Leave out '#{source.part}'."
        )
    encoding = "utf-8"
    if reader.encoding is not None:
        encoding = find_encoding(source.path, reader.encoding) if reading.encoding == "auto" else reading.encoding
        check_encoding(encoding)
    columns = reading.columns
    if not reader.has_columns:
        _need_no_columns(source, reader, columns)
        columns = Columns(name=columns.name, more=columns.more, need_label=columns.need_label, keep=columns.keep)
    delimiter = None if reading.delimiter == "auto" else reading.delimiter.replace("\\t", "\t")
    opening = Opening(
        name=source.name,
        columns=columns,
        encoding=encoding,
        delimiter=delimiter,
        header=reading.header,
        part=source.part,
    )
    return Opened(source, reader, opening)


def _need_no_columns(source: Source, reader: Reader, columns: Columns) -> None:
    """Refuse what is asked of a column where a file has none."""
    for setting, column in columns.wanted():
        if setting in ("data.label_columns", "data.agreement_column", "data.explode"):
            problem = f"{source.reference}: {setting}: no column '{column}', {reader.name} files have none"
            raise DataError(problem, hint="Leave it out; an agreement of all rows is set in data.sources.")


def rows(opened: Opened, reading: Reading, *, faults: Callable[[Fault], None] | None = None) -> Iterator[Row]:
    """Rows of one source; see read."""
    for record in records(opened, reading):
        if isinstance(record, Row):
            yield record
        elif faults is None:
            raise fault_error(record)
        else:
            faults(record)


def records(opened: Opened, reading: Reading) -> Iterator[Row | Fault]:
    """Every record of one source in order, read or not."""
    name, maker = opened.opening.name, RowMaker(opened, reading)
    try:
        for line, fields in opened.format.read(opened.source.path, opened.opening):
            yield from _made(maker, f"{name}:{line}", fields, opened.opening.columns)
    except UnicodeError as error:  # a codec that cannot go on behind what it cannot read, utf-16 without its mark
        raise DataError(
            f"{name}: data.encoding: '{opened.opening.encoding}' does not read it: {error.__class__.__name__}",
            hint="Try utf-8, latin-1 or gb18030.",
        ) from None


def _made(maker: RowMaker, where: str, fields: Fields | Broken, columns: Columns) -> Iterator[Row | Fault]:
    """Make the rows of a record that are wanted; where there are several, each with a number of its own."""
    entries = exploded(fields, columns.explode)
    for number, entry in enumerate(entries, start=1):
        if maker.wants(entry):
            row = maker.make(where if len(entries) == 1 else f"{where}.{number}", entry)
            yield replace(row, record=where) if isinstance(row, Row) and len(entries) > 1 else row


def need_text(text: str, where: str) -> None:
    """Refuse characters that no tokenizer takes and no file can hold."""
    if (problem := no_text(text, "UTF-8")) is not None:
        raise DataError(f"{where}: {problem}", hint="Give it UTF-8 text.")


def _reader_of(source: Source, reading: Reading) -> Reader:
    """Return the format that is named, or that of the reference, the suffix, the first lines."""
    if source.hub:
        return READERS["hub"]
    if source.path.is_dir():
        return READERS["saved" if is_saved(source.path) else "folder"]
    with open_bytes(source.path) as stream:
        head = stream.read(8192)
    if not head.strip():
        raise DataError(f"{source.reference}: the file is empty", hint="Check the path.")
    reader = READERS[reading.format] if reading.format != "auto" else _detect(source, head, reading.columns)
    if reader.encoding is not None and _is_binary(head, reading.encoding):
        raise DataError(f"{source.reference}: looks binary, not text", hint=f"Readable formats: {', '.join(READERS)}.")
    return reader


def _is_binary(head: bytes, encoding: str) -> bool:
    wide = encoding.lower().startswith(_WIDE) or head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))
    return b"\0" in head and not wide


def _detect(source: Source, head: bytes, columns: Columns) -> Reader:
    suffix = inner(source.path)
    for reader in READERS.values():
        if suffix in reader.suffixes and reader.name != "lines":
            if is_packed(source.path) and reader.encoding is None:
                raise DataError(f"{source.reference}: a packed {reader.name} file", hint="Unpack it first.")
            return reader
    shown = [line for line in head.splitlines()[:20] if line.strip()]
    if all(_PHRASEBANK_LINE.fullmatch(line) for line in shown[:-1] or shown):  # the last may be cut short
        return READERS["phrasebank"]
    if not columns.need_label:
        return READERS["lines"]
    if suffix == ".xls":
        raise DataError(f"{source.reference}: the old Excel format", hint="Save it as .xlsx or csv.")
    raise DataError(
        f"{source.reference}: cannot tell the format", hint=f"Set data.format to one of {', '.join(READERS)}."
    )

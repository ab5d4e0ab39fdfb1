"""From paths to rows: finds format, encoding and delimiter, and turns every defect into a Fault that names file and line.

Example:
    rows = list(read("news.csv"))
    rows[0]
    # Row(id='news.csv:2', fields={'text': 'Profit rose.'}, target='positive', ...)
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from fintune.data.labels import LabelMap
from fintune.data.readers.columns import (
    Broken,
    Columns,
    Fields,
    Opening,
    by_position,
    column_problem,
    fault_error,
    value_at,
)
from fintune.data.readers.conditions import Conditions
from fintune.data.readers.encodings import check_encoding, find_encoding
from fintune.data.readers.formats import READERS, Reader
from fintune.data.readers.hub_datasets import is_saved
from fintune.data.readers.packed import inner, is_packed, open_bytes
from fintune.data.readers.sources import Source, expand
from fintune.errors import BrokenEnvironment, DataError, did_you_mean
from fintune.records import TEXT, Fault, Row, text_of
from fintune.runtime.install import with_extra
from fintune.runtime.printable import legible

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_SURROGATE = re.compile("[\ud800-\udfff]")
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
    label: str | None = None
    """The label of every row, where no column has one."""
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
        columns = Columns(name=columns.name, more=columns.more, need_label=columns.need_label)
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
    name, maker = opened.opening.name, _RowMaker(opened, reading)
    try:
        for line, fields in opened.format.read(opened.source.path, opened.opening):
            if maker.wants(fields):
                yield maker.make(f"{name}:{line}", fields)
    except UnicodeError as error:  # a codec that cannot go on behind what it cannot read, utf-16 without its mark
        raise DataError(
            f"{name}: data.encoding: '{opened.opening.encoding}' does not read it: {error.__class__.__name__}",
            hint="Try utf-8, latin-1 or gb18030.",
        ) from None


def need_text(text: str, where: str) -> None:
    """Refuse characters that no tokenizer takes and no file can hold."""
    if (problem := _no_text(text, "UTF-8")) is not None:
        raise DataError(f"{where}: {problem}", hint="Give it UTF-8 text.")


class _RowMaker:
    """Fields to Row or Fault, for one source."""

    def __init__(self, opened: Opened, reading: Reading) -> None:
        self._columns, self._encoding = opened.opening.columns, opened.opening.encoding
        self._map, self._redact = LabelMap(reading.label_map, closed=reading.closed), tuple(reading.redact)
        self._comma = reading.decimal == ","
        self._label, self._cuts, self._weight = reading.label, reading.cuts, reading.weight
        self._conditions = Conditions(reading.where)
        self._numbered = self._columns.by_number()
        self._wanted = tuple(column for _, column in self._columns.wanted())
        self._width: int | None = None if self._columns.backwards() else -1
        """Fields of the first record, where columns are counted from the end."""

    def wants(self, fields: Fields | Broken) -> bool:
        """Whether a record is one of those that are asked for; one that lacks a column is told by `make`."""
        if isinstance(fields, Broken) or not self._conditions:
            return True
        columns = by_position(self._columns, len(fields)) if self._numbered else self._columns
        if column_problem(columns, list(fields)) is not None:
            return True
        return self._conditions.met_by({name: plain_cell(value_at(fields, name)) for name in self._conditions.columns})

    def make(self, where: str, fields: Fields | Broken) -> Row | Fault:
        """Return a Row, or what is wrong with the record."""
        if isinstance(fields, Broken):
            return _fault(where, fields)
        if self._width is None:
            self._width = len(fields)
        if len(fields) != self._width != -1:
            problem = f"{len(fields)} fields where the first record has {self._width}"
            return Fault(where=where, problem=problem, hint="Mend the row, or count columns from the first.")
        columns = by_position(self._columns, len(fields)) if self._numbered else self._columns
        if self._numbered or not all(column in fields for column in self._wanted):
            missing = column_problem(columns, list(fields))
            if missing is not None:
                return _fault(where, missing)
        cells = {name: value_at(fields, column) for name, column in columns.fields().items()}
        texts = {name: cell if name == TEXT or _is_nested(cell) else plain_cell(cell) for name, cell in cells.items()}
        label = self._label or plain_cell(value_at(fields, columns.label))
        if label and self._comma and _DECIMAL_COMMA.fullmatch(label):
            label = label.replace(",", ".")
        for name, text in texts.items():
            if not isinstance(text, str | None):
                problem = f"'{columns.fields()[name]}' is {type(text).__name__}, not text"
                hint = f"Choose the column with {'data.text_column' if name == TEXT else 'task.prompt'}."
                return Fault(
                    where=where, problem=problem, hint=hint, kind="non-text", value=label or "", text=str(text)
                )
        return self._row(where, {name: str(text or "") for name, text in texts.items()}, label, fields, columns)

    def _row(
        self, where: str, texts: Mapping[str, str], label: str | None, fields: Fields, columns: Columns
    ) -> Row | Fault:
        problems = (_no_text(text, self._encoding) for text in (*texts.values(), label or ""))
        if (problem := next(filter(None, problems), None)) is not None:
            hint = "Mend the file, or set data.encoding, for example to latin-1 or gb18030."
            return Fault(where=where, problem=problem, hint=hint, value=label or "", text=text_of(texts))
        original = None
        if label is not None and (label or self._map.key("") is not None) and self._map:
            original, label = label, self._map.apply(label)
            if label is None and columns.need_label:
                problem = f"label '{original}' is not in data.label_map ({self._map})"
                hint, text = self._map.hint(original), text_of(texts)
                return Fault(where=where, problem=problem, hint=hint, kind="unknown-label", value=original, text=text)
        if self._cuts and label is not None:
            number, label = label, _cut(label, self._cuts)
            if label is None:
                problem, hint = f"'{number}' is no number, and data.label_cuts cuts numbers", "Mend the row."
                return Fault(
                    where=where, problem=problem, hint=hint, kind="unknown-label", value=number, text=text_of(texts)
                )
        weight = self._weight
        if columns.weight is not None:
            written = plain_cell(value_at(fields, columns.weight)) or ""
            weight *= _positive(written)
            if not weight > 0:
                hint = "Mend the row, or leave data.weight_column out."
                return Fault(
                    where=where,
                    problem=f"weight '{written}' is no positive number",
                    hint=hint,
                    value=label or "",
                    text=text_of(texts),
                )
        if self._redact:
            from fintune.data.quality.pii import redact

            texts = {name: redact(text, self._redact) for name, text in texts.items()}
        date, group = (
            plain_cell(value_at(fields, column)) if column else None for column in (columns.date, columns.group)
        )
        readable = {name: text.strip() if legible(text) else "" for name, text in texts.items()}
        return Row(where, readable, label, date=date, group=group, original=original, weight=weight)


def _cut(written: str, cuts: Mapping[float, str]) -> str | None:
    """Return the label of a number: that of the first cut it does not exceed."""
    try:
        number = float(written)
    except ValueError:
        return None
    return next((label for end, label in cuts.items() if number <= end), None)


def _positive(written: str) -> float:
    """Return a weight; 0 for what is none."""
    try:
        weight = float(written)
    except ValueError:
        return 0.0
    return weight if 0 < weight < float("inf") else 0.0


def _fault(where: str, broken: Broken) -> Fault:
    return Fault(where=where, problem=broken.problem, hint=broken.hint, kind=broken.kind)


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def plain_cell(value: object) -> str | None:
    """Return a cell as text: whole floats (as Excel has them) without a point, truth values as YAML and JSON write them."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _no_text(text: str, encoding: str) -> str | None:
    if "\0" in text:
        return "holds NUL, which is no text"
    if (match := _SURROGATE.search(text)) is None:
        return None
    byte = ord(match[0]) - 0xDC00
    return (
        f"not {encoding.removesuffix('-sig')}: byte 0x{byte:02x}"
        if 0x80 <= byte <= 0xFF
        else "holds half a character (lone surrogate)"
    )


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

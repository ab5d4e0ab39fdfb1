"""From the fields of a record to a Row, or what is wrong with it: columns, labels by map and cuts, weights, rows that are wanted.

Example:
    RowMaker(opened, reading).make("news.csv:2", {"text": "Profit rose.", "label": "positive"})
    # Row(id='news.csv:2', fields={'text': 'Profit rose.'}, target='positive', ...)
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.data.labels import LabelMap
from fintune.data.readers.columns import Broken, Columns, Fields, by_position, column_problem, value_at
from fintune.data.readers.conditions import Conditions
from fintune.data.readers.kept import kept
from fintune.data.readers.soft_labels import Shares, agreed, voted
from fintune.records import TEXT, Fault, Row, text_of
from fintune.runtime.printable import legible

if TYPE_CHECKING:
    from fintune.data.readers.read import Opened, Reading

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class RowMaker:
    """Fields to Row or Fault, for one source."""

    def __init__(self, opened: "Opened", reading: "Reading") -> None:
        self._columns, self._encoding = opened.opening.columns, opened.opening.encoding
        self._map, self._redact = LabelMap(reading.label_map, closed=reading.closed), tuple(reading.redact)
        self._comma = reading.decimal == ","
        self._label, self._cuts, self._weight = reading.label, reading.cuts, reading.weight
        self._labels, self._agreement = reading.labels, reading.agreement
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
        label = self._label or (None if columns.votes else self._number_of(fields, columns.label))
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
        problems = (no_text(text, self._encoding) for text in (*texts.values(), label or ""))
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
        shares = self._shares(label, fields, columns)
        if isinstance(shares, Broken):
            return replace(_fault(where, shares), value=label or "", text=text_of(texts))
        if shares is not None and columns.votes:
            label = max(shares, key=lambda name: shares[name])
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
        texts = {name: self._blotted(text) for name, text in texts.items()}
        date, group = (
            plain_cell(value_at(fields, column)) if column else None for column in (columns.date, columns.group)
        )
        readable = {name: text.strip() if legible(text) else "" for name, text in texts.items()}
        row = Row(where, readable, label, date=date, group=group, original=original, weight=weight, shares=shares)
        return replace(row, kept=kept(fields, columns, self._blotted)) if columns.keep else row

    def _blotted(self, text: str) -> str:
        """Return a text without the personal data that are not to be read."""
        if not self._redact:
            return text
        from fintune.data.quality.pii import redact

        return redact(text, self._redact)

    def _shares(self, label: str | None, fields: Fields, columns: Columns) -> Shares | Broken | None:
        """Return the shares of labels that annotators gave, where a file has such; a label that is none of the task's has none."""
        if columns.votes:
            return voted({name: self._number_of(fields, column) or "" for name, column in columns.votes.items()})
        if label is None or label not in self._labels or (self._agreement is None and columns.agreement is None):
            return None
        written = str(self._agreement) if columns.agreement is None else self._number_of(fields, columns.agreement)
        return agreed(label, written or "", self._labels)

    def _number_of(self, fields: Fields, column: str) -> str | None:
        """Return a cell as text; a number with a point, whatever its decimal mark."""
        cell = plain_cell(value_at(fields, column))
        return cell.replace(",", ".") if cell and self._comma and _DECIMAL_COMMA.fullmatch(cell) else cell


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


def no_text(text: str, encoding: str) -> str | None:
    """Return why characters are none that a tokenizer takes and a file can hold; None where they are."""
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

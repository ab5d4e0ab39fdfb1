"""Quotes that swallow rows: one opened by chance, closed by another far below, makes one field of all rows between them.

What tells such a record from a text of several lines: its lines look like rows. A sound record has one line at most that
bears the other fields, the first or the last. Without a label, ids and dates tell: a sentence has no field like them.

>>> shape = RowShape("\\t", width=2, label=1)
>>> shape.learn(["Profit fell", "negative"])
>>> shape.swallows(['"We had a strong quarter\\tnegative\\n', 'The board met\\tnegative\\n', 'as planned."\\tnegative\\n'])
True
"""

import re
from collections import Counter
from collections.abc import Sequence

from fintune.data.readers.columns import Columns, is_number

_MOST_LABELS = 1000
_ENCLOSED = re.compile(r'(?:^|(?<=\t))"(?:[^"]+|"")*"(?=\t|[\r\n]*$)')


class RowShape:
    """What a row of a file looks like: so many fields, and at the label's place a label that other rows bear."""

    def __init__(self, delimiter: str, *, width: int, label: int | None, text: int | None = None) -> None:
        self._delimiter, self.width, self._label, self._text = delimiter, width, label, text
        self._labels: set[str] = set()
        self._forms: set[tuple[str, ...]] = set()

    def learn(self, fields: Sequence[str]) -> None:
        """Remember the label of a row that stands on one line; without labels, the forms of its other fields."""
        if len(fields) != self.width:
            return
        if self._label is not None and len(self._labels) < _MOST_LABELS:
            self._labels.add(fields[self._label])  # blanks around it too: prose has one behind a comma
        elif self._label is None and len(self._forms) < _MOST_LABELS:
            self._forms.add(self._form(fields))

    def swallows(self, lines: Sequence[str]) -> bool:
        """Whether the lines of one record are rows of their own: two of them, and half of those that are not blank."""
        if len(lines) < 2:
            return False
        like = sum(map(self._is_like_a_row, lines))
        return like >= 2 and 2 * like >= sum(not line.isspace() for line in lines)

    def _is_like_a_row(self, line: str) -> bool:
        fields = line.rstrip("\r\n").split(self._delimiter)
        if len(fields) != self.width or self.width < 2:
            return False
        if self._label is None:
            return self._delimiter != "," or self._has_a_known_form(fields)  # a comma stands in any sentence
        label = fields.pop(self._label)
        return any(fields) and label.strip() != "" and (label in self._labels or _unquoted(label) in self._labels)

    def _has_a_known_form(self, fields: Sequence[str]) -> bool:
        """Whether the fields beside the text look like those of other rows, a number, date or id among them."""
        form = self._form(fields)
        return form in self._forms and any("0" in one and " " not in one for one in form)

    def _form(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Each field beside the text, its digits and letters told apart and no more: 2024-11-03 is 0-0-0."""
        return tuple(_shortened(_unquoted(field)) for i, field in enumerate(fields) if i != self._text)


def shape_of(
    sample: Sequence[Sequence[str]], delimiter: str, columns: Columns, names: Sequence[str] | None
) -> RowShape:
    """Return the shape of rows, from the header's names, or from the width most rows have where columns are numbers."""
    if names is not None and not columns.by_number():
        return RowShape(
            delimiter, width=len(names), label=_index(names, columns.label), text=_index(names, columns.text)
        )
    width = Counter(map(len, sample)).most_common(1)[0][0] if sample else 0
    label = _place(columns.label, width) if columns.need_label else None
    return RowShape(delimiter, width=width, label=label, text=_place(columns.text, width))


def are_enclosed(record: str) -> bool:
    """Whether all quotes of a tab-separated record enclose fields, or stand doubled within such."""
    return '"' not in _ENCLOSED.sub("", record)


def _unquoted(field: str) -> str:
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _shortened(field: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", field))


def _index(names: Sequence[str], column: str) -> int | None:
    return names.index(column) if column in names else None


def _place(column: str, width: int) -> int | None:
    """Index of a column that is a number."""
    if not is_number(column):
        return None
    place = int(column)
    place += width if place < 0 else -1
    return place if 0 <= place < width else None

"""Quotes that swallow rows: one opened by chance, closed by another far below, makes one field of all rows between them.

What tells such a record from a text of several lines: its lines look like rows. A sound record has one line at most that
bears the other fields, the first or the last.

>>> shape = RowShape("\\t", width=2, label=1)
>>> shape.learn(["Profit fell", "negative"])
>>> shape.swallows(['"We had a strong quarter\\tnegative\\n', 'The board met\\tnegative\\n', 'as planned."\\tnegative\\n'])
True
"""

import re
from collections import Counter
from collections.abc import Sequence

from fintune.data.opening import Columns

_MOST_LABELS = 1000
_ENCLOSED = re.compile(r'(?:^|(?<=\t))"(?:[^"]+|"")*"(?=\t|[\r\n]*$)')


class RowShape:
    """What a row of a file looks like: so many fields, and at the label's place a label that other rows bear."""

    def __init__(self, delimiter: str, *, width: int, label: int | None) -> None:
        self._delimiter, self.width, self._label = delimiter, width, label
        self._labels: set[str] = set()

    def learn(self, fields: Sequence[str]) -> None:
        """Remember the label of a row that stands on one line."""
        if self._label is not None and len(fields) == self.width and len(self._labels) < _MOST_LABELS:
            self._labels.add(fields[self._label])  # blanks around it too: prose has one behind a comma

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
            return self._delimiter != ","  # which stands in any sentence
        label = fields.pop(self._label)
        return any(fields) and label.strip() != "" and (label in self._labels or _unquoted(label) in self._labels)


def shape_of(
    sample: Sequence[Sequence[str]], delimiter: str, columns: Columns, names: Sequence[str] | None
) -> RowShape:
    """The shape of rows, from the header's names, or from the width most rows have where columns are numbers."""
    if names is not None and not columns.by_number():
        return RowShape(
            delimiter, width=len(names), label=names.index(columns.label) if columns.label in names else None
        )
    width = Counter(map(len, sample)).most_common(1)[0][0] if sample else 0
    return RowShape(delimiter, width=width, label=_place(columns, width))


def are_enclosed(record: str) -> bool:
    """Whether all quotes of a tab-separated record enclose fields, or stand doubled within such."""
    return '"' not in _ENCLOSED.sub("", record)


def _unquoted(field: str) -> str:
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _place(columns: Columns, width: int) -> int | None:
    """Index of the label's column, where columns are numbers."""
    if not columns.need_label:
        return None
    place = int(columns.label)
    place += width if place < 0 else -1
    return place if 0 <= place < width else None

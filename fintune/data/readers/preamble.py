"""Which row of a table holds the names of its columns: exports of office programs put titles, notes and blanks above it.

>>> header_at([["Complaints, Q3"], ["id", "text", "label"], ["1", "The card was copied", "fraud"]], Columns())
1
"""

from collections import Counter
from collections.abc import Sequence

from fintune.data.readers.columns import Columns

MOST_ABOVE = 20
"""Rows that may stand above the names."""
_FILLED = 0.6
"""Share of cells of a row of names that are not empty."""


def header_at(rows: Sequence[Sequence[object]], columns: Columns) -> int:
    """Return the place of the first of these rows that holds the wanted names; where they are not known, of the first whole row."""
    first = rows[:MOST_ABOVE]
    if columns.everything:
        width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
        return next((i for i, row in enumerate(first) if len(row) >= width > 1 and _may_name(row, width)), 0)
    return next((i for i, row in enumerate(first) if columns.within(named(row, columns))), 0)


def _may_name(row: Sequence[object], width: int) -> bool:
    """Whether most cells of a row are full, and it is no comment."""
    cells = ["" if cell is None else str(cell).strip() for cell in row]
    return sum(map(bool, cells)) > _FILLED * width and not (cells[0].startswith("#") and len(cells[0]) > 1)


def named(row: Sequence[object], columns: Columns) -> list[str]:
    """Return the names in a row, without the blanks around them unless a column is wanted with those."""
    names = ["" if cell is None else str(cell) for cell in row]
    stripped = [name.strip() for name in names]
    return names if not columns.within(stripped) and columns.within(names) else stripped

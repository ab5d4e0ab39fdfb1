"""Whether the first row of a table names its columns: it differs from the rows below as names differ from what they name.

>>> has_header([["Profit rose 3 %", "positive"], ["Loss widened", "negative"], ["Sales grew", "positive"]])
False
"""

from collections.abc import Sequence

from fintune.data.guess.names import DATES, GROUPS, TEXTS, TITLES, answer_strength, is_of
from fintune.data.guess.profile import is_date, is_link, is_number, profile_of, words_in

_LONGEST_NAME = 6
"""Words of the name of a column."""


def has_header(rows: Sequence[Sequence[object]]) -> bool:
    """Whether the first of these rows holds names; they are the first of a file, names or not."""
    if not rows:
        return False
    first, below = ["" if cell is None else str(cell).strip() for cell in rows[0]], rows[1:]
    full = [cell for cell in first if cell]
    if (
        not full
        or len(set(full)) < len(full)
        or any(is_number(cell) or is_date(cell) or is_link(cell) for cell in full)
    ):
        return False
    if any(words_in(cell.split("(")[0].split("（")[0]) > _LONGEST_NAME for cell in full):
        return False
    if any(_is_known(cell) for cell in full):
        return True
    return not any(_repeats(cell, [row[i] for row in below if i < len(row)]) for i, cell in enumerate(first) if cell)


def _is_known(name: str) -> bool:
    return answer_strength(name) != 0 or any(is_of(name, words) for words in (TEXTS, TITLES, DATES, GROUPS))


def _repeats(cell: str, column: Sequence[object]) -> bool:
    """Whether a cell is one of the values of the rows below it."""
    return profile_of(cell, column).counts.get(cell, 0) > 0

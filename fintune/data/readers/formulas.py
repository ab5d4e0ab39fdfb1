"""Cells that a spreadsheet would run: text behind `=`, `+`, `-`, `@` is written behind an apostrophe, and read without it in our files.

>>> neutral("=HYPERLINK(1)"), neutral("-1.5"), restored("'=HYPERLINK(1)")
("'=HYPERLINK(1)", '-1.5', '=HYPERLINK(1)')
"""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

SHARE = "p_"
"""How the columns of probabilities begin in a file of predictions: id, the answer, confidence of a label, these, text, what was kept."""
RowCells = TypeVar("RowCells")
_RUN = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
"""Beginnings that spreadsheets run (https://owasp.org/www-community/attacks/CSV_Injection); apostrophes before them count, so that ours can
be told from them."""
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|\.\d+)(e[+-]?\d+)?\s?%?", re.IGNORECASE)


def neutral(cell: str) -> str:
    """Return the cell, with an apostrophe before what a spreadsheet would take for a formula; numbers are left."""
    return f"'{cell}" if _RUN.match(cell) and not _NUMBER.fullmatch(cell) else cell


def restored(cell: str) -> str:
    """Return what `neutral` was given."""
    return cell[1:] if cell.startswith("'") and _RUN.match(cell) else cell


def is_predictions(header: Sequence[object]) -> bool:
    """Whether a file with these columns is one of predictions, whose cells are neutral; columns behind text, if there are probabilities."""
    names = [str(name) for name in header]
    if len(names) < 3 or names[0] != "id" or "text" not in names[2:]:
        return False
    between = names[2 : names.index("text", 2)]
    shares = between[1:] if between[:1] == ["confidence"] else between
    return all(name.startswith(SHARE) for name in shares) and (bool(shares) or len(names) == 3)


def restoring(rows: Iterator[tuple[int, RowCells]]) -> Iterator[tuple[int, RowCells]]:
    """Numbered rows, the header first; those of a file of predictions as they were before they were neutral."""
    for line, header in rows:
        yield line, header
        ours = isinstance(header, list | tuple) and is_predictions(header)
        yield from ((line, _whole(row)) for line, row in rows) if ours else rows


def _whole(row: RowCells) -> RowCells:
    if not isinstance(row, list | tuple):
        return row
    return type(row)(restored(cell) if isinstance(cell, str) else cell for cell in row)

"""Books of several sheets: which there are, and what the others say, such as what codes mean.

Example:
    sheets_of("survey.xlsx")
    # ['survey.xlsx#Read me', 'survey.xlsx#Data']
"""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice, pairwise

from fintune.data.readers.columns import Broken, Columns, Opening
from fintune.data.readers.read import Opened
from fintune.data.readers.rows import plain_cell
from fintune.data.readers.sources import expand
from fintune.data.readers.tables import read_xlsx, sheet_names

_ROWS = 50


def sheets_of(path: str) -> list[str]:
    """Return the sheets of a book as paths, where it has several and none is named; else the path alone."""
    source = expand(path)[0]
    if source.part or source.hub or source.path.suffix.lower() != ".xlsx" or find_spec("openpyxl") is None:
        return [path]
    names = sheet_names(source.path)
    return [f"{path}#{name}" for name in names] if len(names) > 1 else [path]


def notes_of(opened: Opened) -> Iterator[str]:
    """Yield what stands side by side on the other sheets, as `code = meaning`."""
    own = opened.source.part
    for name in sheet_names(opened.source.path):
        if name != own:
            opening = Opening(name=opened.source.name, columns=Columns.all(), header=False, part=name)
            for _, fields in islice(read_xlsx(opened.source.path, opening), _ROWS):
                if not isinstance(fields, Broken):
                    yield from (
                        f"{a} = {b}" for a, b in pairwise(plain_cell(cell) or "" for cell in fields.values()) if a and b
                    )

"""Any list of records on a terminal."""

from collections.abc import Mapping, Sequence

from fintune.runtime.layout import Table, Text


def listing(rows: Sequence[Mapping[str, str]]) -> Table:
    """Return a plain table; the keys of the first row are the columns."""
    table = Table()
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    return table

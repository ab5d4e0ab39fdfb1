"""Labels that stand in a column each: votes that are named (data.label_columns), or one mark a row.

>>> one_mark_a_row([profile_of("up", ["1", "0"]), profile_of("down", ["0", "1"])])
'up: up, down: down'
"""

from collections.abc import Mapping, Sequence

from fintune.data.guess.profile import Profile, profile_of


def columns_by_label(data: Mapping[str, object]) -> Mapping[str, str]:
    """Return the column of each label, where settings of section data name them."""
    columns = data.get("label_columns")
    return {str(label): str(column) for label, column in columns.items()} if isinstance(columns, Mapping) else {}


def as_column(labels: Sequence[str]) -> Profile:
    """Return labels that are voted on as if they stood in one column, each more than once."""
    return profile_of("label", list(labels) * 2)


def one_mark_a_row(profiles: Sequence[Profile]) -> str:
    """Return columns of 0 and 1 of which each row has a single 1, as data.label_columns has them; empty where they are none."""
    rows = list(zip(*(p.values for p in profiles), strict=True))
    single = all(set(row) <= {"0", "1"} and row.count("1") == 1 for row in rows)
    return ", ".join(f"{p.name}: {p.name}" for p in profiles) if single and len(profiles) > 1 else ""

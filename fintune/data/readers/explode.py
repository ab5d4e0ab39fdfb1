"""One record to several rows: an entry each of a list or an object in one of its columns (pandas' and Spark's `explode`).

>>> exploded({"text": "A beat B", "who": "{'A': 'up', 'B': 'down'}"}, "who")
[{'text': 'A beat B', 'who': {'key': 'A', 'value': 'up'}}, {'text': 'A beat B', 'who': {'key': 'B', 'value': 'down'}}]
"""

import ast
import json
import warnings
from collections.abc import Mapping, Sequence

from fintune.data.readers.columns import Broken, Fields, value_at
from fintune.data.readers.json_window import Repeated, as_object

_LONGEST = 100_000
"""Characters of a cell that is taken for a list or an object; parsers of deeper ones run out of stack."""
_DEEPEST = 50
"""Brackets that may be open in it at a time."""


def exploded(record: Fields | Broken, column: str | None) -> Sequence[Fields | Broken]:
    """Return the record once for each entry of a column (or path), the entry in its place; of an object `key` and `value`."""
    if column is None or isinstance(record, Broken):
        return [record]
    value = value_at(record, column)
    held = _parsed(value) if isinstance(value, str) else value
    if isinstance(held, Repeated):
        return [Broken(f"'{column}': the key '{held.key}' stands in it twice", "Leave one of them.")]
    entries = [{"key": k, "value": v} for k, v in held.items()] if isinstance(held, Mapping) else held
    if not isinstance(entries, list | tuple):
        what = f"'{value[:40]}'" if isinstance(value, str) else "null" if value is None else type(value).__name__
        return [Broken(f"'{column}' is {what}, no list or object (data.explode)", "Mend the row.")]
    if not entries:
        hint = "Mend the row, or data.drop: [unknown-label]."
        return [Broken(f"'{column}' is empty: no entry to answer (data.explode)", hint, "unknown-label")]
    parts = [column] if column in record else column.split(".")
    return [_with(record, parts, entry) for entry in entries]


def _parsed(cell: str) -> object:
    """Return what a cell holds as JSON, or as Python writes lists and dictionaries; None where it is neither."""
    if len(cell) > _LONGEST or not cell.lstrip().startswith(("[", "{", "(")) or _depth(cell) > _DEEPEST:
        return None
    try:
        return json.loads(cell, object_pairs_hook=as_object)
    except ValueError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a backslash in a name
            return ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _depth(cell: str) -> int:
    """Return how many brackets are open at most, those within quotes counted."""
    depth = deepest = 0
    for character in cell:
        depth += (character in "[{(") - (character in "]})")
        deepest = max(deepest, depth)
    return deepest


def _with(record: Fields, parts: Sequence[str], entry: object) -> Fields:
    """Return a record with an entry at a path; what stands beside it is shared."""
    first, *rest = parts
    inner = record.get(first)
    return {**record, first: _with(inner, rest, entry) if rest and isinstance(inner, Mapping) else entry}

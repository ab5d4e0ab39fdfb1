"""The columns of a record that nothing reads, kept for whoever reads the answers, as JSON can hold them.

>>> kept({"text": "Profit rose.", "isin": "XX01", "tags": ("a", 1)}, Columns(keep=True))
{'isin': 'XX01', 'tags': ['a', 1]}
"""

import math
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from fintune.data.readers.columns import Columns, Fields


def kept(record: Fields, columns: Columns, change: Callable[[str], str] = str) -> dict[str, JsonValue]:
    """Return a record's columns but that of a lone text, which answers have beside them; `change` goes over every text."""
    lone = columns.text if not columns.more else None
    return {str(name): _held(value, change) for name, value in record.items() if name != lone}


def _held(value: object, change: Callable[[str], str]) -> JsonValue:
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        return value if (text := change(str(value))) == str(value) else text
    if isinstance(value, Mapping):
        return {str(name): _held(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_held(inner, change) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return change(str(value).encode("utf-8", "replace").decode())  # bytes that did not decode are no characters

"""Which rows of a file are wanted, as data.where says: a value, several, or a comparison for each column.

Example:
    conditions = Conditions({"year": ">= 2020", "source": ["wire", "filing"]})
    conditions.met_by({"year": 2021, "source": "wire"})
    # True
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from fintune.errors import ConfigError

_COMPARED = re.compile(r"(>=|<=|!=|==|>(?!=)|<(?!=))\s*(\S.*)")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!=": operator.ne,
    "==": operator.eq,
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


class Conditions:
    """All of them must be met; numbers are compared as numbers, anything else (ISO dates) as text."""

    def __init__(self, where: Mapping[str, object]) -> None:
        """Take what data.where holds. Raises ConfigError for a comparison with nothing."""
        self._tests = {column: _test(column, wanted) for column, wanted in where.items()}

    def __bool__(self) -> bool:
        return bool(self._tests)

    @property
    def columns(self) -> list[str]:
        """Return the columns they look at."""
        return list(self._tests)

    def met_by(self, cells: Mapping[str, str | None]) -> bool:
        """Whether a record, its cells as text, is wanted."""
        return all(test(cells.get(column) or "") for column, test in self._tests.items())


def _test(column: str, wanted: object) -> Callable[[str], bool]:
    if isinstance(wanted, list | tuple):
        allowed = {_text(one) for one in wanted}
        return lambda cell: cell in allowed
    text = _text(wanted)
    if (match := _COMPARED.fullmatch(text)) is not None:
        return _comparison(match[1], match[2].strip())
    if text[:1] in "<>=!" and text:
        problem = f"data.where.{column}: '{text}' compares with nothing"
        raise ConfigError([problem], hint="Write a value, a list of such, or a comparison such as '>= 2020'.")
    return lambda cell: cell == text


def _comparison(sign: str, bound: str) -> Callable[[str], bool]:
    compare = _OPERATORS[sign]
    if not _NUMBER.fullmatch(bound):
        return lambda cell: bool(cell) and compare(cell, bound)
    return lambda cell: bool(_NUMBER.fullmatch(cell)) and compare(float(cell), float(bound))


def _text(value: object) -> str:
    """Return a value of a config as cells are read."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()

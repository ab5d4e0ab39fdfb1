"""What the values of a column look like: how many, how different, how long, of which sort.

>>> profile_of("category", ["card", "loan", "card"]).distinct
2
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from fintune.data.readers.columns import value_at
from fintune.data.readers.rows import plain_cell
from fintune.runtime.scripts import lacks_blanks

NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?([T ].*)?|\d{1,2}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}([T ,].*)?|\d{8}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4}.*"
)
_LINK = re.compile(r"(https?://|www\.)\S+|\S+\.(com|cn|org|net|html?)(/\S*)?", re.IGNORECASE)
_CODE = re.compile(r"(?=.*[\d_#.])[\w#./:-]+", re.ASCII)
_WORD = re.compile(r"\S+")
_CHARACTERS_A_WORD = 1.7
"""Characters of a Chinese word, on average."""
_SAMPLE = 500


@dataclass(frozen=True)
class Profile:
    """A column of a sample."""

    name: str
    values: Sequence[str]
    """As text, "" where there is none."""
    nested: float
    """Share of values that are lists or objects."""

    @cached_property
    def counts(self) -> Counter[str]:
        """Rows by value, those without one left out."""
        return Counter(value for value in self.values if value)

    @property
    def distinct(self) -> int:
        """Return how many values there are."""
        return len(self.counts)

    @cached_property
    def filled(self) -> float:
        """Share of rows with a value."""
        return self.counts.total() / max(1, len(self.values))

    @cached_property
    def unlike(self) -> float:
        """Share of values that are different."""
        return len(self.spelled) / max(1, self.counts.total())

    @cached_property
    def spelled(self) -> Counter[str]:
        """Rows by value, spellings put together."""
        return Counter(folded(value) for value in self.values if value)

    @cached_property
    def words(self) -> float:
        """Words of a value, the median."""
        return median(map(words_in, self._shown)) if self._shown else 0.0

    @cached_property
    def characters(self) -> float:
        """Characters of a value, the mean."""
        return sum(map(len, self._shown)) / max(1, len(self._shown))

    @cached_property
    def numbers(self) -> float:
        """Share of values that are numbers."""
        return self._share(is_number)

    @cached_property
    def whole(self) -> bool:
        """Whether all numbers are whole."""
        return all(float(v.replace(",", ".")).is_integer() for v in self.counts if is_number(v))

    @cached_property
    def dates(self) -> float:
        """Share of values that are dates."""
        return self._share(is_date)

    @cached_property
    def links(self) -> float:
        """Share of values that are addresses."""
        return self._share(is_link)

    @cached_property
    def codes(self) -> float:
        """Share of values such as `A-1042`: one word with digits or underscores."""
        return self._share(lambda value: bool(_CODE.fullmatch(value)) and not is_number(value))

    @cached_property
    def _shown(self) -> list[str]:
        return list(self.counts)[:_SAMPLE]

    def _share(self, holds: Callable[[str], bool]) -> float:
        return sum(map(holds, self._shown)) / max(1, len(self._shown))


def folded(value: str) -> str:
    """Return a value without what tells spellings apart: case, blanks, a full stop."""
    return " ".join(value.casefold().split()).rstrip(" .。")


def profile_of(name: str, column: Sequence[object]) -> Profile:
    """Return the profile of a column's cells, as they are in the file."""
    nested = sum(isinstance(cell, Mapping | list | tuple) for cell in column) / max(1, len(column))
    return Profile(name, [plain_cell(cell) or "" for cell in column], nested)


def plain(record: Mapping[str, object], path: str) -> str:
    """Return a cell as it is read, "" where there is none."""
    return plain_cell(value_at(record, path)) or ""


def is_number(value: str) -> bool:
    """Whether a value is a number, with a point or a comma."""
    return bool(NUMBER.fullmatch(value))


def is_date(value: str) -> bool:
    """Whether a value is written as a date."""
    return bool(_DATE.fullmatch(value)) and not (value.isdigit() and not "19000101" <= value <= "21001231")


def is_link(value: str) -> bool:
    """Whether a value is an address."""
    return bool(_LINK.fullmatch(value))


def words_in(value: str) -> float:
    """Count words; of scripts without blanks, characters by the length of a word."""
    return len(value) / _CHARACTERS_A_WORD if lacks_blanks([value]) else len(_WORD.findall(value))

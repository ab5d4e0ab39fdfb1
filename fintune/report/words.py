"""The words of the page in two languages, and how figures are written.

>>> Translator("zh")("accuracy")
'准确率'
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from fintune.records import Statement
from fintune.runtime import units

LANGUAGES = ("en", "zh")
_THIN = "\u202f"


@cache
def table() -> dict[str, dict[str, str]]:
    """Return every string of the page: key -> language -> words, with {places} for figures."""
    strings: dict[str, dict[str, str]] = json.loads((files(__package__) / "page" / "strings.json").read_text("utf-8"))
    return strings


@cache
def _worth() -> dict[str, str]:
    """Return what a statement says in Chinese: kind -> words; in English it says it itself."""
    words: dict[str, str] = json.loads((files(__package__) / "page" / "worth.zh.json").read_text("utf-8"))
    return words


class Translator:
    """Give the page's strings in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """Return the words for a key, its places filled."""
        return table()[key][self.language].format(**values)


def both(key: str, **values: object) -> Markup:
    """Return a string in every language, of which the page shows one."""
    return in_both(lambda t: t(key, **values))


def in_both(text: Callable[[Translator], str]) -> Markup:
    """Return a text in every language, escaped; the page shows one."""
    span = Markup('<span class="t" lang="{}">{}</span>')
    return Markup("").join(span.format(language, text(Translator(language))) for language in LANGUAGES)


def has_words(key: str) -> bool:
    """Whether the table has a key."""
    return key in table()


def baseline_name(name: str, t: Translator) -> str:
    """Return what a baseline is called on the page."""
    return t(f"baseline.{name}") if has_words(f"baseline.{name}") else name


def part_name(part: str, t: Translator) -> str:
    """Return what a part of the data is called on the page."""
    return t(f"part.{part}") if has_words(f"part.{part}") else part


def worth(statement: Statement, t: Translator) -> str:
    """Return a statement of what scores are worth."""
    if t.language == "en" or statement.kind not in _worth():
        return statement.text
    values = dict(statement.values)
    shown = {"name": baseline_name(values.get("name", ""), t), "metric": t(values.get("metric", "accuracy"))}
    return _worth()[statement.kind].format(**values | shown)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in per cent: 0.9671 as 96.7 %."""
    return "–" if share is None else f"{100 * share:.{digits}f}{_THIN}%"


def count(number: float | None) -> str:
    """Return a count with its thousands apart: 1898496 as 1,898,496."""
    return "–" if number is None else f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """Return seconds as 4.2 s, 42 s, 12 min, 3 h 05 min, with narrow blanks."""
    return "–" if seconds is None else units.brief_duration(seconds, space=_THIN)


def size(number: float | None) -> str:
    """Return bytes as 34.4 kB, 7.6 MB, 3.1 GB, with narrow blanks."""
    return "–" if number is None else units.size(number, space=_THIN)

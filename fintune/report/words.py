"""The words of the page in two languages, and how figures are written.

>>> Translator("zh")("confidence")
'置信度'
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from fintune.records import Statement
from fintune.runtime import units
from fintune.tasks.lookup import metric_of

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
        """Return the words for a key, its places filled; what is a function of a translator, it fills in by itself."""
        filled = {name: value(self) if callable(value) else value for name, value in values.items()}
        return table()[key][self.language].format(**filled)


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


def metric_title(name: str, t: Translator) -> str:
    """Return what a metric is called in a sentence."""
    metric = metric_of(name)
    return metric.zh or metric.title if t.language == "zh" else metric.title


def metric_heading(name: str, t: Translator) -> str:
    """Return what a metric is called where its name stands first."""
    title = metric_title(name, t)
    return title[:1].upper() + title[1:]


def metric_column(name: str, t: Translator) -> str:
    """Return what stands over a column of figures."""
    return f"{metric_heading(name, t)} (%)" if metric_of(name).share else metric_heading(name, t)


def part_name(part: str, t: Translator) -> str:
    """Return what a part of the data is called on the page."""
    return t(f"part.{part}") if has_words(f"part.{part}") else part


def worth(statement: Statement, t: Translator) -> str:
    """Return a statement of what scores are worth."""
    if t.language == "en" or statement.kind not in _worth():
        return statement.text
    values = dict(statement.values)
    metric = metric_title(values["metric"], t) if "metric" in values else t("score")
    more = _worth()["needed"].format(**values) if "needed" in values else ""
    values |= {"by": t(f"by.{values['by']}")} if has_words(f"by.{values.get('by')}") else {}
    shown = {"name": baseline_name(values.get("name", ""), t), "metric": metric, "more": more}
    return _worth()[statement.kind].format(**values | shown)


def figure(value: float, name: str, sign: str = "") -> str:
    """Return a value of a metric as tables have it, without a unit."""
    return metric_of(name).figure(value, sign)


def written(name: str, value: float) -> str:
    """Return a value of a metric; shares are in per cent: 0.9671 as 96.7 %."""
    return figure(value, name) + (f"{_THIN}%" if metric_of(name).share else "")


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

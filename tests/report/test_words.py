"""How figures are written."""

import pytest

from fintune.report import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0.0, "0.0 s"), (4.21, "4.2 s"), (42.4, "42 s"), (737.0, "12 min"), (11100.0, "3 h 05 min")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds).replace("\u202f", " ") == shown


@pytest.mark.parametrize(("number", "shown"), [(34_386, "34.4 kB"), (7_600_000, "7.6 MB"), (3_100_000_000, "3.1 GB")])
def test_sizes(number: int, shown: str) -> None:
    assert words.size(number).replace("\u202f", " ") == shown


def test_both_languages_are_escaped() -> None:
    assert str(words.both("note.unfinished", mark="<b>")) == (
        '<span class="t" lang="en">This run is unfinished: &lt;b&gt;</span>'
        '<span class="t" lang="zh">该运行尚未完成：&lt;b&gt;</span>'
    )

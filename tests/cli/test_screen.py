"""What is told on a screen breaks as its reader would."""

import io

import pytest

from fintune.cli.screen import Screen
from fintune.runtime.layout import Text


@pytest.mark.parametrize(
    ("terminal", "shown"),
    [(True, "guess  one two\n       three\n       利润大\n       增\n"), (False, "guess  one two three 利润大增\n")],
)
def test_a_sentence_breaks_between_words_on_a_terminal_alone(terminal: bool, shown: str) -> None:
    below = io.StringIO()
    Screen(file=below, force_terminal=terminal, width=14).sentence(Text("one two three 利润大增"), lead="guess  ")
    assert below.getvalue() == shown

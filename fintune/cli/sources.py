"""What a command reads its settings from: a config, or files of data that are looked into, with a question where nothing in them tells."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.prompt import IntPrompt

from fintune.cli.output import err, working
from fintune.runtime.layout import Text
from fintune.runtime.printable import one_line

if TYPE_CHECKING:
    from fintune.config.from_data import Looked
    from fintune.config.load import ConfigSource
    from fintune.data.guess.reasons import Undecided


class _Number(IntPrompt):
    """Asks for a number, in words without rich's markup."""

    validate_error_message = "A number, please"
    illegal_choice_message = "One of these numbers, please"


def config_source(sources: Sequence[str], overrides: Sequence[str] | None) -> "ConfigSource":
    """Return the path of a config, or what files of data come to. Raises Undecided where nobody is there to be asked."""
    from fintune.config.from_data import are_data

    if are_data(sources):
        return look_into(sources, overrides).written
    return sources[0] if len(sources) == 1 else list(sources)


def look_into(files: Sequence[str], overrides: Sequence[str] | None) -> "Looked":
    """Return what files of data come to, and why; what nothing tells is asked. Raises Undecided where nobody is there to answer."""
    from fintune.config.load import looked
    from fintune.data.guess.reasons import Undecided

    chosen: list[str] = []
    while True:
        try:
            with working(models=False):
                return looked(files, [*chosen, *(overrides or ())])
        except Undecided as error:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            chosen.append(_answer(error))


def _answer(question: "Undecided") -> str:
    """Ask which of the readings is meant, and return what chooses it."""
    err.print(Text(one_line(question.question)), soft_wrap=True)
    for number, reading in enumerate(question.readings, start=1):
        err.print(
            Text(f"  {number}  {one_line(reading.override.partition('=')[2])}: {one_line(reading.what)}"),
            soft_wrap=True,
        )
    allowed = [str(number) for number in range(1, len(question.readings) + 1)]
    try:
        chosen = _Number.ask("Which", console=err, choices=allowed, show_choices=False)
    except EOFError:
        raise question from None
    return question.readings[chosen - 1].override

"""What can go wrong, as a tree.

FintuneError            a mistake the user can mend; exit code 2
├── ConfigError         a setting is unknown, missing or out of range (lists every problem at once)
├── DataError           a file, row, column or label is not what the config says
├── ModelError          a base model or adapter is missing, damaged or does not fit
├── TrainingError       training cannot go on: the loss is not a number
├── UsageError          a command was typed wrongly
├── RunError            a run folder is missing, unfinished or taken
└── BrokenEnvironment   a package is missing, the disk is full: nothing the config can mend; exit code 1

Every error carries a hint, from whoever raises it: what to type or change next. The class has the exit code. What libraries raise
becomes one of these in cli/errors.py; cli/output.py prints them; 130 and 143 are of cli/app.py and runtime/signals.py.

Example:
    raise DataError("news.csv:17: label 'postive' is not one of negative, neutral, positive", hint="Did you mean 'positive'?")
"""

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal

_MESSAGE, _HINT = 3_000, 900
"""Most bytes of a message and of a hint on a screen."""
_LINES = 60
_LINE, _VALUE = 900, 200
"""Most characters of a line and of a value in it."""
_UNBROKEN = re.compile(rf"\S{{{_VALUE + 60},}}")
"""A value or path too long to be shown whole."""


class FintuneError(Exception):
    """A foreseeable failure: `message` says what and where, `hint` what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = bounded(_UNBROKEN.sub(lambda value: shortened(value[0]), message), _MESSAGE)
        self.hint = bounded(hint, _HINT)  # may be a command with a long path, to be copied
        super().__init__(self.message)


class ConfigError(FintuneError):
    """One or more settings are wrong; `problems` holds a line for each."""

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        super().__init__(
            "\n".join(problem.replace("\n", r"\n").replace("\t", r"\t") for problem in problems), hint=hint
        )
        self.problems = self.message.split("\n")


DataErrorKind = Literal["unusable", "column"]
"""Every sort of data error; "column": a column that is wanted is missing, so that other names may be tried."""


class DataError(FintuneError):
    """A data file cannot be used as it is."""

    def __init__(self, message: str, *, hint: str = "", kind: DataErrorKind = "unusable") -> None:
        super().__init__(message, hint=hint)
        self.kind: DataErrorKind = kind


class ModelError(FintuneError):
    """A base model or an adapter cannot be used as it is."""


class TrainingError(FintuneError):
    """Training has come to nothing under these settings."""


class UsageError(FintuneError):
    """A command was typed wrongly."""


class RunError(FintuneError):
    """A run folder cannot be used as it is."""


class BrokenEnvironment(FintuneError):
    """The machine, not the user's input, is at fault."""

    exit_code = 1


def shortened(text: str, most: int = _VALUE) -> str:
    """Return the text, without its middle where it is longer."""
    if len(text) <= most:
        return text
    head, tail = 2 * most // 3, most // 5
    return f"{text[:head]} … {len(text) - head - tail:,} characters … {text[-tail:]}"


def bounded(text: str, most: int) -> str:
    """Return what is shown of an error: long lines without their middle, `most` bytes in all."""
    lines = [shortened(line, min(_LINE, most)) for line in text.split("\n", _LINES)[:_LINES]]
    whole = bisect_right(list(accumulate(sum(map(_width, line)) + 1 for line in lines)), most)
    if not whole:  # characters that take several bytes each
        return shortened(lines[0], most // 12)
    left = text.count("\n") + 1 - whole
    return "\n".join([*lines[:whole], *([f"… and {left:,} more"] if left else [])])


def _width(character: str) -> int:
    """Bytes on a screen; what is not printable is written as an escape there."""
    return len(character.encode()) if character.isprintable() else 10


def first_line(error: BaseException) -> str:
    """Return the first line of what an error of another library says, or its kind when it says nothing."""
    said = str(error).strip()
    return shortened(said.splitlines()[0]) if said else type(error).__name__


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return a sentence that names the nearest allowed word, or all allowed words when none is near."""
    names = [str(name) for name in allowed]
    folded = {name.casefold(): name for name in reversed(names)}
    if not names:
        return ""
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"Did you mean '{folded[near[0]]}'?" if near else f"Allowed: {', '.join(names)}."

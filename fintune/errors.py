"""What can go wrong, as a tree.

FintuneError            a mistake the user can mend; exit code 2
├── ConfigError         a setting is unknown, missing or out of range (lists every problem at once)
├── DataError           a file, row, column or label is not what the config says
├── ModelError          a base model or adapter is missing, damaged or does not fit
├── TrainingError       training cannot go on: the loss is not a number
├── UsageError          a command was typed wrongly
├── RunError            a run folder is missing, unfinished or taken
└── BrokenEnvironment   a package is missing, the disk is full: nothing the config can mend; exit code 1

Every error carries a hint: what to type or change next.

>>> raise DataError("news.csv:17: label 'postive' is not one of negative, neutral, positive", hint="Did you mean 'positive'?")
"""

import difflib
import re
from collections.abc import Iterable, Sequence


class FintuneError(Exception):
    """A foreseeable failure: `message` says what and where, `hint` what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(FintuneError):
    """One or more settings are wrong; `problems` holds a line for each."""

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = list(problems)


class DataError(FintuneError):
    """A data file cannot be used as it is."""


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


def not_installed(what: str, error: ModuleNotFoundError) -> BrokenEnvironment:
    """The error for something that needs a package which is not there."""
    package = (error.name or str(error)).partition(".")[0]
    return BrokenEnvironment(f"{what}: {package} is not installed", hint=f"pip install {package}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which torch says in a RuntimeError of its own on CPU and on GPU."""
    told = isinstance(error, RuntimeError) and re.search("can't allocate memory|out of memory", str(error))
    return isinstance(error, MemoryError) or bool(told)


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says, or its kind when it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0][:200] if said else type(error).__name__


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A sentence that names the nearest allowed word, or all allowed words when none is near."""
    names = [str(name) for name in allowed]
    folded = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"Did you mean '{folded[near[0]]}'?" if near else f"Allowed: {', '.join(names)}."

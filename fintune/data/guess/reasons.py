"""Why a setting was guessed, and what is raised where nothing tells which of several readings is meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from fintune.data.guess.kinds import OtherKind
from fintune.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A setting that was guessed."""

    setting: str
    """Its name, such as data.text_column."""
    why: str
    sure: bool = True
    """Whether nothing else could be meant."""


@dataclass(frozen=True, kw_only=True)
class Choosable:
    """One of several readings."""

    override: str
    """What chooses it, as behind --set."""
    what: str
    """What it comes to, in a few words."""


class Undecided(DataError):
    """Two readings of a file are near each other."""

    def __init__(self, path: str, question: str, readings: Sequence[Choosable]) -> None:
        shown = "; ".join(f"{one.override.partition('=')[2]} ({one.what})" for one in readings)
        hint = "Choose: " + ", or ".join(f"--set {_quoted(one.override)}" for one in readings)
        super().__init__(f"{path}: {question}: {shown}", hint=hint)
        self.question, self.readings = question, list(readings)


class NotLabeledText(DataError):
    """A file holds something else than texts with an answer each."""

    def __init__(self, path: str, kind: OtherKind, shown: str, *, hint: str) -> None:
        super().__init__(f"{path}: {kind.what}{shown}", hint=hint)
        self.kind_of_data = kind.name


def _quoted(override: str) -> str:
    import shlex

    return shlex.quote(override)

"""What is wrong with data, or worth knowing: each finding with its weight, its count and a few rows to look at.

A severe finding makes a score untrue or a training run fail; `fintune check` then exits with 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fintune.errors import shortened

Level = Literal["severe", "warning", "note"]
LEVELS: tuple[Level, ...] = ("severe", "warning", "note")
SHOWN = 5
"""How many rows a finding names."""
_LONGEST = 1_500
"""Most characters of a message."""


@dataclass(frozen=True)
class Finding:
    """One kind of defect."""

    kind: str
    level: Level
    count: int
    message: str
    rows: list[str] = field(default_factory=list)
    """Ids of the first few rows it is about."""

    def __post_init__(self) -> None:
        """Shorten the message, which may quote what a file holds, of any length."""
        object.__setattr__(self, "message", shortened(self.message, _LONGEST))


def finding(kind: str, level: Level, message: str, rows: Sequence[str]) -> list[Finding]:
    """Return a list of one finding, or of none when no row is concerned. `{n}` in the message is the count."""
    if not rows:
        return []
    return [Finding(kind, level, len(rows), message.replace("{n}", f"{len(rows):,}"), list(rows[:SHOWN]))]


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Return the worst first."""
    return sorted(findings, key=lambda f: (LEVELS.index(f.level), -f.count))


def share_level(count: int, total: int, severe_from: float) -> Level:
    """Severe when the share reaches a bound, else a warning."""
    return "severe" if total and count / total >= severe_from else "warning"

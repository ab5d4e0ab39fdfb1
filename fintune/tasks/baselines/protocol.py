"""What every baseline is given, what it gives back, and how one is registered.

A baseline either answers by itself (`answer`) or has the base model answer behind a beginning of its own (`ask`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fintune.records import Answer, Example, Prompt
from fintune.tasks.protocol import Task, TaskKind


@dataclass(frozen=True)
class BaselineInput:
    """What a baseline may see: two labeled parts, and of the part that is scored the texts alone."""

    task: Task
    train: Sequence[Example]
    validation: Sequence[Example]
    texts: Sequence[str]
    seed: int = 0
    shots: int = 2
    """Examples of each stratum that few-shot shows."""

    @property
    def choices(self) -> list[str]:
        """Names of the task's choices, in their order."""
        return list(self.task.choices() or {})


@dataclass(frozen=True)
class Answers:
    """An answer for each text, and where the baseline has them, probabilities `(texts, choices)`."""

    answers: Sequence[Answer]
    probabilities: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Baseline:
    """A registry entry; exactly one of `answer` and `ask` is set."""

    name: str
    summary: str
    learns: bool
    """Whether the baseline looks at the training part."""
    said: str = ""
    """What the baseline does, as the sentence "no better than ..." names it."""
    answer: Callable[[BaselineInput], Answers] | None = None
    ask: Callable[[BaselineInput], tuple[Prompt, ...]] | None = None
    """Returns what the base model reads before every prompt (Prompt.shown)."""
    kinds: tuple[TaskKind, ...] = ("labels",)
    """The kinds of task that it can do."""
    labels: tuple[str, ...] = ()
    """The only label set the baseline knows; empty for any."""
    floor: bool = False
    """Whether it is the least that a model must beat: every comparison of a task of its kind has it."""
    package: str | None = None
    """A module that the baseline needs."""
    extra: str | None = None
    """The extra of fintune that installs that module."""

    @property
    def needs_model(self) -> bool:
        """Whether the base model has to be loaded for it."""
        return self.ask is not None

    def left_out(self, task: Task) -> str | None:
        """Why it cannot take part in a task; None when it can."""
        if task.kind not in self.kinds:
            return f"{self.name} is for tasks whose answers are {' or '.join(self.kinds)}, and those of {task.name} are {task.kind}"
        choices = task.choices() or {}
        if not self.labels or set(choices) == set(self.labels):
            return None
        return f"{self.name} knows the labels {', '.join(self.labels)} alone, the task has {', '.join(choices)}"

    def describe(self) -> dict[str, str]:
        """Return the entry as text: a row of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "learns from train": "yes" if self.learns else "no",
            "base model": "yes" if self.needs_model else "no",
            "answers": " or ".join(self.kinds),
            "labels": ", ".join(self.labels) or "any",
            "extra": f"`fintune[{self.extra}]`" if self.extra else "none",
        }

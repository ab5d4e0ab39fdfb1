"""What every task offers the rest of the house, and how one is registered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from fintune.records import Example, Fault, Prompt, Row


class TaskOptions(BaseModel):
    """Base of every task's settings (section `task` of a config)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    name: str


class Task(Protocol):
    """A task is data and pure functions: no model, no file."""

    name: str
    version: int
    """The number that is raised whenever prompts, parsing or scoring change, so that scores of different versions are never compared."""
    labels: Sequence[str]

    def parse(self, row: Row) -> Example | Fault:
        """Return a labeled row as an example; a Fault of kind "unknown-label" when the label is none of the task's."""

    def prompt(self, text: str) -> Prompt:
        """Return the question put to the model."""

    def answer(self, label: str) -> str:
        """Return what the model is taught to say for a label, with the blank that stands before it in the template."""

    def candidates(self) -> Sequence[str]:
        """Every possible answer, in the order of `labels`."""

    def parse_answer(self, answer: str) -> str | None:
        """Return the label of an answer; None when it is none of the candidates (never a substring match)."""


@dataclass(frozen=True)
class TaskEntry:
    """A registry entry: everything the CLI, the docs and the config need to know about a task."""

    name: str
    summary: str
    options: type[TaskOptions]
    build: Callable[[Any], Task]

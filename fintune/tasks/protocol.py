"""What every task offers the rest of the house, and how one is registered.

A task with a closed set of answers has them ranked; one whose `choices` are None has its answer written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from fintune.records import Answer, Example, Fault, Prediction, Prompt, Row

if TYPE_CHECKING:
    from fintune.tasks.arrays import Floats
    from fintune.tasks.metric import Metric

TaskKind = Literal["labels", "numbers", "lists", "texts"]
"""What answers are; a baseline says for which of them it is."""


class TaskOptions(BaseModel):
    """Base of every task's settings (section `task` of a config)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    name: str


class Task(Protocol):
    """A task is data and pure functions: no model, no file."""

    @property
    def name(self) -> str:
        """What configs call it."""

    @property
    def version(self) -> int:
        """The number that is raised whenever prompts, parsing or scoring change, so that scores of two versions are never compared."""

    @property
    def kind(self) -> TaskKind:
        """What its answers are."""

    @property
    def noun(self) -> str:
        """What an answer is called, over a column of them: label, value."""

    @property
    def fields(self) -> Sequence[str]:
        """Columns that a prompt reads; TEXT is that of data.text_column."""

    @property
    def made(self) -> Sequence[str]:
        """Fields of a prompt that `parse` makes out of a row, such as the company that is asked about; in files to predict, columns."""

    @property
    def headline(self) -> Sequence[str]:
        """Names of the metrics that are shown first: the first chooses the epoch, ranks rows and heads tables."""

    @property
    def tested(self) -> Sequence[str]:
        """Names of the metrics in which a model may show that it is ahead of a baseline."""

    def parse(self, row: Row) -> Sequence[Example | Fault]:
        """Return the examples that a labeled row holds; a Fault of kind "unknown-label" for an answer that is none of the task's."""

    def prompt(self, example: Example) -> Prompt:
        """Return the question put to the model."""

    def target(self, example: Example) -> str:
        """Return what the model is taught to say, with the blank that stands before it in the template."""

    def choices(self, example: Example | None = None) -> Mapping[str, str] | None:
        """Return what the model may say, by the names that stored predictions have for it; None: it writes what it likes.

        Without an example, those that all examples share, None where there are none such.
        """

    def decide(self, probabilities: Mapping[str, float], example: Example) -> Answer:
        """Return the answer that the probabilities of the choices come to."""

    def parse_answer(self, text: str, example: Example) -> Answer | None:
        """Return a written answer as the task counts it; None when it cannot be read."""

    def score(self, predictions: Sequence[Prediction], weights: "Floats") -> Mapping[str, "Floats"]:
        """Return every metric of predictions whose gold answer is known, `(draws,)`, headline and tested among them.

        `weights` `(draws, n)`: how often each prediction counts in a draw of the bootstrap. Depends on gold and answers alone.
        """

    def stratum(self, example: Example) -> str | None:
        """Return of which sort an example is, so that splits keep the sorts' shares; None where there are no sorts."""


class TaskDefaults:
    """What most tasks have in common."""

    kind: TaskKind = "texts"
    noun = "answer"
    made: Sequence[str] = ()

    def choices(self, example: Example | None = None) -> Mapping[str, str] | None:
        """See Task: written."""
        return None

    def decide(self, probabilities: Mapping[str, float], example: Example) -> Answer:
        """See Task: the most probable."""
        return max(probabilities, key=lambda name: probabilities[name])

    def stratum(self, example: Example) -> str | None:
        """See Task: the label, where answers are labels."""
        return str(example.target) if self.kind == "labels" and example.target is not None else None


def asked_fields(task: Task) -> tuple[str, ...]:
    """Return the columns that a record to be answered must have."""
    return (*task.fields, *task.made)


def blank(task: Task, text: str = "") -> Example:
    """Return an example with the same text in every field: for what the template has around them."""
    return Example("", dict.fromkeys(asked_fields(task), text), None)


@dataclass(frozen=True)
class TaskEntry:
    """A registry entry: everything the CLI, the docs and the config need to know about a task."""

    name: str
    summary: str
    options: type[TaskOptions]
    build: Callable[[Any], Task]
    metrics: Sequence["Metric"] = ()
    """How the metrics of its scores are written."""
    sample: Mapping[str, object] = field(default_factory=dict)
    """Settings for a config that is to be filled in, of those that have no default."""

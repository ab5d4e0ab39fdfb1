"""What the methods of Task promise to return, as tests of a value; what fails them is refused with the page that says it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from fintune.errors import DataError, FintuneError, first_line
from fintune.records import PieceKind, Prediction, Prompt
from fintune.tasks.metric import Metric
from fintune.tasks.protocol import Task, TaskEntry, TaskKind, TaskOptions, asked_fields

HINT = "Mend the task: docs/extend.md says what each of its methods returns."


def refused(message: str) -> DataError:
    """Return the error of a promise that is not kept."""
    return DataError(message, hint=HINT)


def called(where: str, call: Callable[[], object]) -> object:
    """Return what a task's own code returns; what it raises becomes an error of two lines."""
    try:
        return call()
    except FintuneError:
        raise
    except (Exception, SystemExit) as error:
        raise refused(f"{where}: {type(error).__name__}: {first_line(error)}") from error


def entry_problem(entry: TaskEntry) -> str | None:
    """Return what is wrong with a task's entry; None where all of it is what TaskEntry says."""
    if not (isinstance(entry.options, type) and issubclass(entry.options, TaskOptions)):
        return "options is no class of TaskOptions"
    if not callable(entry.build):
        return "build is nothing that can be called"
    if not isinstance(entry.metrics, Sequence) or not all(isinstance(metric, Metric) for metric in entry.metrics):
        return "metrics are not all Metric"
    return None


def is_text(value: object) -> bool:
    """Whether a value is a str that says something and that files can hold."""
    return isinstance(value, str) and bool(value.strip()) and _can_be_written(value)


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def are_names(value: object, *, may_be_none: bool) -> bool:
    """Whether a value is a list of names; one without any only where there may be none."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(is_text(name) for name in value) and (may_be_none or bool(value))


def is_prompt(value: object) -> bool:
    """Whether a value is a Prompt of pieces of text, each of a known kind."""
    if not isinstance(value, Prompt) or not isinstance(value.pieces, tuple) or not value.pieces:
        return False
    return all(
        isinstance(piece, tuple) and len(piece) == 2 and isinstance(piece[0], str) and _can_be_written(piece[0])
        and piece[1] in get_args(PieceKind)
        for piece in value.pieces
    )  # fmt: skip


def are_choices(value: object) -> bool:
    """Whether a value is None, or names and answers, two at least."""
    if value is None:
        return True
    if not isinstance(value, Mapping) or len(value) < 2:
        return False
    return all(is_text(part) for pair in value.items() for part in pair)


def is_answer(value: object, kind: TaskKind) -> bool:
    """Whether a value is an answer of a task of this kind."""
    if kind == "numbers":
        return isinstance(value, float) and math.isfinite(value)
    if kind == "lists":
        return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    return isinstance(value, str)


def is_sort(value: object) -> bool:
    """Whether a value is what a stratum may be called, or None."""
    return value is None or is_text(value)


def are_series(value: object, wanted: Sequence[str], draws: int) -> bool:
    """Whether a value holds an array of real numbers for each wanted metric, one for each draw."""
    import numpy as np

    if not isinstance(value, Mapping) or not set(wanted) <= value.keys():
        return False
    return all(
        isinstance(one, np.ndarray) and one.shape == (draws,) and np.issubdtype(one.dtype, np.floating)
        for one in value.values()
    )


def unfit(task: Task, prediction: Prediction) -> str | None:
    """Return what a stored prediction has that the task does not; None where it is one of the task's."""
    if lacking := [name for name in asked_fields(task) if name not in prediction.fields]:
        return f"no field {lacking[0]}"
    for name, answer in (("answer", prediction.answer), ("gold", prediction.gold)):
        if answer is not None and not is_answer(answer, task.kind):
            return f"{name} is {type(answer).__name__}, and the task answers in {task.kind}"
    choices = task.choices(prediction.example) or {}
    if odd := [name for name in prediction.probabilities if name not in choices]:
        return f"a probability of '{odd[0][:40]}', which is no choice of the task"
    return None

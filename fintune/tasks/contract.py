"""Whether a task keeps the promises of Task, tried on one example before anything is loaded: one from `--code` may not.

>>> need_contract(task, examples[0])
DataError: task company: prompt returned str, not Prompt
"""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from fintune.errors import DataError, first_line
from fintune.records import Answer, Example, Prediction, Prompt
from fintune.tasks.protocol import Task

_HINT = "Mend the task: docs/extend.md says what each of its methods returns."


def need_contract(task: Task, example: Example) -> None:
    """Raise DataError for the first method that fails on the example, or returns another thing than it promises."""
    _tried(task, "prompt", lambda: task.prompt(example), lambda value: isinstance(value, Prompt), "Prompt")
    target = _tried(task, "target", lambda: task.target(example), lambda value: isinstance(value, str), "str")
    choices = _tried(task, "choices", lambda: task.choices(example), _are_choices, "names and answers, or None")
    shares = {name: 1 / len(choices) for name in choices} if isinstance(choices, Mapping) else {}
    if isinstance(choices, Mapping):
        if target not in choices.values():
            raise DataError(f"task {task.name}: target returned '{target}', which is none of its choices", hint=_HINT)
        answer = _tried(task, "decide", lambda: task.decide(shares, example), _is_answer, "an answer")
    else:
        answer = _tried(
            task,
            "parse_answer",
            lambda: task.parse_answer(str(target), example),
            _is_answer_or_none,
            "an answer or None",
        )
    made = Prediction(
        example.id, example.fields, cast("Answer", answer) if _is_answer(answer) else None, "", shares, example.target
    )
    wanted = {*task.headline, *task.tested}
    _tried(
        task, "score", lambda: task.score([made], np.ones((2, 1))), lambda value: _are_series(value, wanted),
        f"an array (draws,) for each of {', '.join(sorted(wanted))}",
    )  # fmt: skip


def _tried(task: Task, name: str, call: Callable[[], object], fits: Callable[[object], bool], promised: str) -> object:
    try:
        value = call()
    except Exception as error:
        raise DataError(f"task {task.name}: {name}: {type(error).__name__}: {first_line(error)}", hint=_HINT) from error
    if not fits(value):
        raise DataError(f"task {task.name}: {name} returned {type(value).__name__}, not {promised}", hint=_HINT)
    return value


def _are_choices(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, Mapping)
        and len(value) > 1
        and all(isinstance(part, str) for pair in value.items() for part in pair)
    )


def _is_answer(value: object) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, str) for part in value)
    return isinstance(value, str | float) and value == value  # noqa: PLR0124  NaN is no answer


def _is_answer_or_none(value: object) -> bool:
    return value is None or _is_answer(value)


def _are_series(value: object, wanted: set[str]) -> bool:
    return (
        isinstance(value, Mapping)
        and wanted <= value.keys()
        and all(isinstance(one, np.ndarray) and one.shape == (2,) for one in value.values())
    )

"""Whether a task keeps the promises of Task, tried on one example before anything is loaded: one from `--code` may not.

>>> need_contract(task, examples[0])
DataError: task company: prompt returned str, not Prompt
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast, get_args

import numpy as np

from fintune.errors import DataError, FintuneError, first_line
from fintune.records import Answer, Example, Fault, Prediction, Prompt
from fintune.tasks import TASKS
from fintune.tasks.protocol import Task, TaskKind

_HINT = "Mend the task: docs/extend.md says what each of its methods returns."


def need_contract(task: Task, example: Example) -> None:
    """Raise DataError for the first method that fails on the example, or returns another thing than it promises."""
    _need_declared(task)
    _tried(task, "prompt", lambda: task.prompt(example), lambda value: isinstance(value, Prompt), "Prompt")
    target = _tried(task, "target", lambda: task.target(example), lambda value: isinstance(value, str), "str")
    choices = _tried(task, "choices", lambda: task.choices(example), _are_choices, "names and answers, or None")
    shares = {name: 1 / len(choices) for name in choices} if isinstance(choices, Mapping) else {}
    if isinstance(choices, Mapping):
        _need_choice(task, example)
        answer = _tried(task, "decide", lambda: task.decide(shares, example), _is_answer, "an answer")
    else:
        read = lambda: task.parse_answer(str(target), example)  # noqa: E731
        answer = _tried(task, "parse_answer", read, _is_answer_or_none, "an answer or None")
    said = cast("Answer", answer) if _is_answer(answer) else None
    made = Prediction(example.id, example.fields, said, "", shares, example.target)
    wanted = {*task.headline, *task.tested}
    score = lambda: task.score([made], np.ones((2, 1)))  # noqa: E731
    promised = f"an array (draws,) for each of {', '.join(sorted(wanted))}"
    _tried(task, "score", score, lambda value: _are_series(value, wanted), promised)


def _need_declared(task: Task) -> None:
    """Refuse a task that does not say what it is, or names a metric that its entry does not describe."""
    for name in ("fields", "headline", "tested"):
        names = getattr(task, name, None)
        if not isinstance(names, Sequence) or isinstance(names, str) or not names:
            raise DataError(f"task {task.name}: {name} is not a list of names", hint=_HINT)
    if getattr(task, "kind", None) not in get_args(TaskKind):
        raise DataError(f"task {task.name}: kind is not one of {', '.join(get_args(TaskKind))}", hint=_HINT)
    described = {metric.name for metric in (TASKS[task.name].metrics if task.name in TASKS else ())}
    if lacking := [name for name in dict.fromkeys([*task.headline, *task.tested]) if name not in described]:
        raise DataError(
            f"task {task.name}: names the metric '{lacking[0]}', and its TaskEntry has no Metric of that name",
            hint=_HINT,
        )


def need_examples(task: Task, where: str, parsed: object) -> None:
    """Raise DataError where what a task makes of a row are no examples, or their targets no answers of its kind."""
    if not isinstance(parsed, Sequence) or not all(isinstance(one, Example | Fault) for one in parsed):
        raise DataError(
            f"{where}: task {task.name}: parse returned {type(parsed).__name__}, not a list of Example and Fault",
            hint=_HINT,
        )
    wanted = {"numbers": float, "lists": tuple}.get(task.kind, str)
    for one in parsed:
        if isinstance(one, Example) and not (isinstance(one.target, wanted) and _is_answer(one.target)):
            raise DataError(
                f"{where}: task {task.name}: parse returned a target that is {type(one.target).__name__}, and its kind is {task.kind}",
                hint=_HINT,
            )
        if isinstance(one, Example):
            _need_choice(task, one, f"{where}: ")


def _need_choice(task: Task, example: Example, where: str = "") -> None:
    """Refuse a target that is none of the choices there are."""
    choices = task.choices(example)
    if isinstance(choices, Mapping) and (target := task.target(example)) not in choices.values():
        raise DataError(
            f"{where}task {task.name}: target returned '{target}', which is none of its choices", hint=_HINT
        )


@contextmanager
def kept_promise(task: Task, where: str = "") -> Iterator[None]:
    """Raise what a task's own code fails with as an error of two lines."""
    try:
        yield
    except FintuneError:
        raise
    except Exception as error:
        raise DataError(f"{where}task {task.name}: {type(error).__name__}: {first_line(error)}", hint=_HINT) from error


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

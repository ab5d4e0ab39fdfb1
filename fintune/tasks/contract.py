"""A task from `--code` keeps the promises of Task, or is refused in two lines: at every call, and on all examples before weights load.

Example:
    need_contract(guarded(task), examples)
    # DataError: task company: prompt returned str, not Prompt
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from fintune.errors import DataError
from fintune.records import Answer, Example, Fault, Prediction, Prompt, Row
from fintune.tasks import TASKS
from fintune.tasks.promises import (
    are_choices,
    are_names,
    are_series,
    called,
    is_answer,
    is_prompt,
    is_sort,
    is_text,
    refused,
)
from fintune.tasks.protocol import Task, TaskEntry, TaskKind, TaskOptions

if TYPE_CHECKING:
    from fintune.tasks.arrays import Floats

_DRAWS = 20
"""Resamples on which a task's score is tried."""


def built(options: TaskOptions) -> Task:
    """Return the task of these options; one that a file of the user's has made, guarded."""
    entry = TASKS[options.name]
    if TASKS.origin(options.name) is None:
        return entry.build(options)
    return guarded(cast("Task", called(f"task {entry.name}: build", lambda: entry.build(options))), entry)


def guarded(task: Task, entry: TaskEntry | None = None) -> Task:
    """Return the task, each of whose methods raises DataError where it fails or returns another thing than Task promises."""
    entry = entry or TASKS[task.name]
    _need_declared(task, entry)
    return GuardedTask(task, entry)


class GuardedTask:
    """See `guarded`."""

    def __init__(self, task: Task, entry: TaskEntry) -> None:
        self._task, self._bounds = task, {metric.name: (metric.low, metric.high) for metric in entry.metrics}
        self.name, self.version, self.kind, self.noun = entry.name, task.version, task.kind, task.noun
        self.fields, self.made = tuple(task.fields), tuple(getattr(task, "made", ()))
        self.headline, self.tested = tuple(task.headline), tuple(task.tested)

    def parse(self, row: Row) -> Sequence[Example | Fault]:
        """See Task."""
        parsed = called(f"{row.id}: task {self.name}: parse", lambda: self._task.parse(row))
        need_examples(self, row.id, parsed)
        return cast("Sequence[Example | Fault]", parsed)

    def prompt(self, example: Example) -> Prompt:
        """See Task."""
        return cast("Prompt", self._kept("prompt", lambda: self._task.prompt(example), is_prompt, "Prompt"))

    def target(self, example: Example) -> str:
        """See Task."""
        target = self._kept("target", lambda: self._task.target(example), is_text, "str that says something")
        choices = self.choices(example)
        if choices is not None and target not in choices.values():
            raise refused(f"task {self.name}: target returned '{target}', which is none of its choices")
        return cast("str", target)

    def choices(self, example: Example | None = None) -> Mapping[str, str] | None:
        """See Task."""
        wanted = "names and answers, or None"
        choices = self._kept("choices", lambda: self._task.choices(example), are_choices, wanted)
        return cast("Mapping[str, str] | None", choices)

    def decide(self, probabilities: Mapping[str, float], example: Example) -> Answer:
        """See Task."""
        of_kind = self._kept(
            "decide", lambda: self._task.decide(probabilities, example), lambda a: is_answer(a, self.kind), "an answer"
        )
        if self.kind == "labels" and of_kind not in probabilities:
            raise refused(f"task {self.name}: decide returned '{of_kind}', which is none of its choices")
        return cast("Answer", of_kind)

    def parse_answer(self, text: str, example: Example) -> Answer | None:
        """See Task."""

        def fits(value: object) -> bool:
            return value is None or is_answer(value, self.kind)

        read = self._kept("parse_answer", lambda: self._task.parse_answer(text, example), fits, "an answer or None")
        return cast("Answer | None", read)

    def score(self, predictions: Sequence[Prediction], weights: "Floats") -> Mapping[str, "Floats"]:
        """See Task."""
        wanted = sorted({*self.headline, *self.tested})
        series = self._kept(
            "score",
            lambda: self._task.score(predictions, weights),
            lambda value: are_series(value, wanted, len(weights)),
            f"an array (draws,) for each of {', '.join(wanted)}",
        )
        for name in wanted:
            low, high = self._bounds[name]
            values = cast("Mapping[str, Floats]", series)[name]
            if not (within := (values >= low - 1e-9) & (values <= high + 1e-9)).all():  # NaN is not within either
                raise refused(
                    f"task {self.name}: score returned {values[~within][0]:g} for {name}, a metric from {low:g} to {high:g}"
                )
        return cast("Mapping[str, Floats]", series)

    def stratum(self, example: Example) -> str | None:
        """See Task."""
        return cast("str | None", self._kept("stratum", lambda: self._task.stratum(example), is_sort, "str or None"))

    def _kept(self, method: str, call: Any, fits: Any, promised: str) -> object:
        value = called(f"task {self.name}: {method}", call)
        if not fits(value):
            raise refused(f"task {self.name}: {method} returned {type(value).__name__}, not {promised}")
        return value


def need_contract(task: Task, examples: Sequence[Example]) -> None:
    """Try a guarded task on all examples, so that what fails on one of them does so before anything is loaded. Raises DataError."""
    from fintune.tasks.metrics import bootstrap_weights

    if not isinstance(task, GuardedTask) or not examples:
        return
    if twice := next((name for name, count in Counter(e.id for e in examples).items() if count > 1), None):
        raise refused(f"task {task.name}: parse gave two examples the id '{twice}'")
    answers = [_tried(task, example) for example in examples]
    made = [Prediction(e.id, e.fields, answer, "", {}, e.target) for e, answer in zip(examples, answers, strict=True)]
    task.score(made, bootstrap_weights(len(made), _DRAWS))


def _tried(task: GuardedTask, example: Example) -> Answer | None:
    """Return what an example's right answer comes to, each method of the task asked once."""
    try:
        task.prompt(example)
        target, choices = task.target(example), task.choices(example)
        if choices is None:
            return task.parse_answer(target.strip(), example)
        return task.decide({name: float(answer == target) for name, answer in choices.items()}, example)
    except DataError as error:
        raise refused(f"{example.id}: {error.message}") from error


def _need_declared(task: Task, entry: TaskEntry) -> None:
    """Refuse a task that does not say what it is, or names a metric that its entry does not describe."""
    for name, may_be_none in (("fields", False), ("headline", False), ("tested", False), ("made", True)):
        if not are_names(getattr(task, name, ()), may_be_none=may_be_none):
            raise refused(f"task {entry.name}: {name} is not a list of names")
    for name, wanted in (("version", int), ("noun", str)):
        if not isinstance(getattr(task, name, None), wanted):
            raise refused(f"task {entry.name}: {name} is no {wanted.__name__}")
    if getattr(task, "kind", None) not in get_args(TaskKind):
        raise refused(f"task {entry.name}: kind is not one of {', '.join(get_args(TaskKind))}")
    described = {metric.name for metric in entry.metrics}
    if lacking := [name for name in dict.fromkeys([*task.headline, *task.tested]) if name not in described]:
        raise refused(
            f"task {entry.name}: names the metric '{lacking[0]}', and its TaskEntry has no Metric of that name"
        )


def need_examples(task: Task, where: str, parsed: object) -> None:
    """Raise DataError where what a task makes of a row are no examples, or their targets no answers of its kind."""
    if not isinstance(parsed, Sequence) or not all(isinstance(one, Example | Fault) for one in parsed):
        raise refused(
            f"{where}: task {task.name}: parse returned {type(parsed).__name__}, not a list of Example and Fault"
        )
    for one in parsed:
        if isinstance(one, Fault):
            if not (is_text(one.where) and is_text(one.problem) and isinstance(one.hint, str)):
                raise refused(f"{where}: task {task.name}: parse returned a Fault that does not say where or what")
        elif not is_answer(one.target, task.kind):
            kind = type(one.target).__name__
            raise refused(
                f"{where}: task {task.name}: parse returned a target that is {kind}, and its kind is {task.kind}"
            )
        else:
            _need_strings(task, where, one)


def _need_strings(task: Task, where: str, example: Example) -> None:
    texts = example.fields if isinstance(example.fields, Mapping) else {}
    if lacking := [name for name in (*task.fields, *task.made) if not isinstance(texts.get(name), str)]:
        raise refused(f"{where}: task {task.name}: parse returned an Example whose field {lacking[0]} is no str")
    for name in ("id", "date", "group", "row"):
        if not isinstance(getattr(example, name), str | (None if name in ("date", "group") else str)):
            raise refused(f"{where}: task {task.name}: parse returned an Example whose {name} is no str")


__all__ = ["GuardedTask", "built", "guarded", "need_contract", "need_examples"]

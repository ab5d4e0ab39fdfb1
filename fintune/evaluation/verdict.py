"""What a run's scores are worth, decided in one place and kept in scores.json: table, card, page and exit line show the same.

A model is ahead of a baseline where a paired test on the same texts says so, in one of the metrics that the task names for it: exact
where they are of right answers (McNemar), else by bootstrap, with Holm's correction over them. Being told apart from nothing is not
the same as being equal: where so few texts could not show any difference, that is said instead.

Example:
    [statement.text for statement in judge(task, predictions, {"tfidf": tfidf}, TrainAnswers(mean=0.1))]
    # ['No better than counting words (tfidf): MAE 0.41 to 0.40 on 452 texts (difference -0.01 to +0.03).']
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from fintune.evaluation.baseline_tests import BaselineComparison, compare
from fintune.evaluation.guessing import LEAST_PROBABILITY, guessing
from fintune.evaluation.significance import texts_to_tell
from fintune.records import Prediction, Statement
from fintune.tasks import Task
from fintune.tasks.baselines import BASELINES, MAJORITY, MEAN, is_floor
from fintune.tasks.lookup import metric_of

_ADVICE = " Try another train.learning_rate."
"""What is said to whoever trained it; of an adapter trained elsewhere nobody knows the train part."""
_BY_CHANCE = 0.05
"""Probability with which a model that finds half of the other labels says one alone: on fewer than five texts that proves nothing."""


@dataclass(frozen=True)
class TrainAnswers:
    """What can be said without reading a text: how often each label occurs in train, or the mean of its values."""

    labels: Mapping[str, int] = field(default_factory=dict)
    mean: float | None = None


def judge(
    task: Task,
    predictions: Sequence[Prediction],
    baselines: Mapping[str, Sequence[Prediction]],
    train: TrainAnswers,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> list[Statement]:
    """Return the worst that is to be said of a model's answers to labeled texts, and how it stands to the baselines.

    Whoever says the most frequent label of train always, or the mean of its values, is a baseline that is always there.
    """
    if not predictions:
        return []
    beside: dict[str, Sequence[Prediction]] = {}
    counts = train.labels if task.kind == "labels" else {}
    if counts:
        usual = max(counts, key=lambda label: counts[label])
        beside[MAJORITY] = [replace(p, answer=usual) for p in predictions]
    elif task.kind == "numbers" and train.mean is not None:
        beside[MEAN] = [replace(p, answer=train.mean) for p in predictions]
    beside |= {name: _in_order(answers, predictions) for name, answers in baselines.items()}
    against = compare(task, predictions, beside, confidence=confidence, resamples=resamples)
    nothing = _nothing_learned(predictions, against.get(MAJORITY), counts, task.noun)
    if any(statement.level == "severe" for statement in nothing):
        return nothing
    return [*nothing, *_beside(against)]


def _nothing_learned(
    predictions: Sequence[Prediction], majority: BaselineComparison | None, counts: Mapping[str, int], noun: str
) -> list[Statement]:
    n, answered = len(predictions), {p.answer for p in predictions}
    other = sum(p.gold not in answered for p in predictions)
    single = next(iter(answered))
    label = "none that can be read" if single is None else f"{single:g}" if isinstance(single, float) else str(single)
    few = []
    if len(answered) == 1 and other and 0.5**other >= _BY_CHANCE:
        values = {"n": f"{n:,}", "label": label, "other": f"{other:,}"}
        text = f"All {n:,} texts get the {noun} '{label}', and {other:,} bear another: too few to tell whether it learned the others."
        few = [Statement(kind="one-label-few", level="warning", text=text, values=values)]
    elif len(answered) == 1 and other:
        text = f"Learned nothing: all {n:,} texts get the {noun} '{label}'.{_ADVICE if counts else ''}"
        return [Statement(kind="one-label", level="severe", text=text, values={"n": f"{n:,}", "label": label})]
    if not counts or not all(p.probabilities for p in predictions):
        return few
    loss = sum(-math.log(max(p.probabilities.get(str(p.gold), 0.0), LEAST_PROBABILITY)) for p in predictions) / n
    chance = guessing(counts, Counter(str(p.gold) for p in predictions))
    if loss <= chance:
        return few
    useless = majority is None or majority.relation in ("behind", "no-better")
    figures = {"loss": f"{loss:.3f}", "chance": f"{chance:.3f}"}
    means = "Learned nothing: its" if useless else "Do not rely on its confidence: the"
    text = f"{means} loss of {loss:.3f} nats a text is above {chance:.3f}, that of guessing by how often each label occurs."
    more = _ADVICE if useless else ""
    return [
        *few,
        Statement(
            kind="loss" if useless else "confidence",
            level="severe" if useless else "warning",
            text=text + more,
            values=figures,
        ),
    ]


def _beside(against: Mapping[str, BaselineComparison]) -> list[Statement]:
    """Return what is better than the model, else the floor if not beaten, else the strongest not beaten, else the strongest."""
    order = sorted(against.values(), key=lambda a: (is_floor(a.name), a.rank), reverse=True)
    ranked = sorted(order, key=lambda a: a.relation != "behind")
    unbeaten = [a for a in ranked if a.relation != "ahead"]
    chosen = unbeaten[:1] or sorted(ranked, key=lambda a: -a.rank)[:1]
    return [_statement(comparison) for comparison in chosen]


def _statement(a: BaselineComparison) -> Statement:
    """In words, with both figures and the interval of their difference."""
    name, n = called(a.name), f"{a.n:,}"
    metric = metric_of(a.telling)
    own, other = metric.written(a.own[metric.name]), metric.written(a.other[metric.name])
    test = a.tests[metric.name].score
    low, high = sorted(
        (metric.gain(test.low), metric.gain(test.high))
    )  # of the metric itself, where less of it is better
    points = f"{metric.written(low, '+')} to {metric.written(high, '+')}"
    figures = f"{metric.title} {own} to {other} on {n} texts (difference {points})"
    needed = texts_to_tell(a.tests[a.first].score.value, a.discordant, a.confidence) if a.has_exact_test else None
    values = {"name": a.name, "n": n, "own": own, "other": other, "difference": points, "metric": metric.name}
    values |= {"needed": f"{needed:,}"} if needed else {}
    match a.relation:
        case "ahead":
            return Statement(kind="ahead", level="note", text=f"Better than {name}: {figures}.", values=values)
        case "behind":
            return Statement(kind="behind", level="severe", text=f"Worse than {name}: {figures}.", values=values)
        case "no-better":
            level: Literal["severe", "warning"] = "severe" if is_floor(a.name) else "warning"
            return Statement(kind="no-better", level=level, text=f"No better than {name}: {figures}.", values=values)
        case "undecided":
            more = f"; about {needed:,} texts would tell such a difference" if needed else ""
            text = f"Too few texts to tell it from {name}: {figures}{more}."
            return Statement(kind="undecided", level="warning", text=text, values=values)
    text = f"Too few texts to tell it from {name}, which is wrong on {a.mistakes} of {n}: {own} to {other}."
    return Statement(kind="too-few", level="note", text=text, values=values | {"mistakes": str(a.mistakes)})


def called(name: str) -> str:
    """Return a baseline in a sentence: counting words (tfidf)."""
    words = BASELINES[name].said if name in BASELINES else ""
    return f"{words} ({name})" if words else name


def _in_order(answers: Sequence[Prediction], order: Sequence[Prediction]) -> list[Prediction]:
    """Return a baseline's answers in the order of the model's predictions."""
    by_id = {p.id: p.answer for p in answers}
    return [replace(p, answer=by_id.get(p.id)) for p in order]

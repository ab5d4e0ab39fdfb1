"""Metrics by their names in scores.json.

>>> interval("accuracy", Score(0.974, 0.950, 0.989, 226)), metric_of("f1/positive").title
('97.4 [95.0, 98.9]', 'F1')
"""

import math

from fintune.records import Score, Scores
from fintune.tasks import TASKS
from fintune.tasks.metric import LOSSES, Metric


def metric_of(name: str) -> Metric:
    """Return how a metric is written (`f1/positive`: F1 of a label); of a task that is not loaded it is a mere number."""
    head = name.partition("/")[0]
    known = (metric for entry in TASKS.values() for metric in entry.metrics)
    foreign = Metric(name=head, title=head.replace("_", " "), share=False, digits=3, low=-math.inf, high=math.inf)
    return next((metric for metric in (*LOSSES, *known) if metric.name == head), foreign)


def interval(name: str, score: Score) -> str:
    """`97.4 [95.0, 98.9]` in per cent for shares; other metrics as they are."""
    metric = metric_of(name)
    value, low, high = (metric.figure(number) for number in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def labels_in(scores: Scores) -> list[str]:
    """Return the labels that scores are also given of; none where a task has no labels."""
    return [name.partition("/")[2] for name in scores if name.startswith("recall/")]


def of_labels(scores: Scores) -> dict[str, dict[str, Score]]:
    """Return the scores of each label that has them all by metric: precision, recall, F1."""
    metrics = ("precision", "recall", "f1")
    whole = [label for label in labels_in(scores) if all(f"{metric}/{label}" in scores for metric in metrics)]
    return {label: {metric: scores[f"{metric}/{label}"] for metric in metrics} for label in whole}


def support_in(scores: Scores) -> dict[str, int]:
    """Return how many texts bear each label."""
    counts = {label: scores.get(f"support/{label}") for label in labels_in(scores)}
    return {label: round(score.value) for label, score in counts.items() if score is not None}


def averages_in(scores: Scores) -> dict[str, Score]:
    """Return the metrics that are averages over labels, those that are shown first left out."""
    names = ("weighted_f1", "micro_f1", "balanced_accuracy")
    return {name: scores[name] for name in names if name in scores}


def confusion_in(scores: Scores) -> dict[str, dict[str, int]]:
    """Return how often each gold label was answered as each."""
    labels = labels_in(scores)
    return {gold: {answer: round(scores[f"confusion/{gold}/{answer}"].value) for answer in labels} for gold in labels}

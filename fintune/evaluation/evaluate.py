"""An engine, a task and labeled examples in; predictions and scores with intervals out.

>>> evaluation = evaluate(engine, task, splits["validation"])
>>> evaluation.scores["macro_f1"]
Score(value=0.976, low=0.951, high=0.994, n=226)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fintune.inference.answer import predict
from fintune.inference.engines import Engine
from fintune.records import Claims, Example, Prediction, Prompt, Scores
from fintune.tasks import Task
from fintune.tasks.metrics import UNPARSED, classification_scores


@dataclass(frozen=True)
class Evaluation:
    """What a model answered on a part, how good that was, and what it is worth; `cut` texts lost their middle."""

    predictions: list[Prediction]
    scores: Scores
    cut: int
    claims: Claims = field(default_factory=Claims)


def evaluate(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    *,
    shown: tuple[Prompt, ...] = (),
    stage: str = "score",
    **options: Any,
) -> Evaluation:
    """Score `engine` on labeled examples; `options` (resamples, confidence) are those of classification_scores."""
    texts, ids = [e.text for e in examples], [e.id for e in examples]
    found, ranking = predict(engine, task, texts, ids, shown=shown, stage=stage)
    predictions = [replace(p, gold=e.label) for p, e in zip(found, examples, strict=True)]
    gold = _indices(task.labels, [e.label for e in examples])
    loss = -ranking.log_probability[np.arange(len(gold)), gold]
    scores = score(predictions, task, loss=loss, tokens=ranking.tokens[gold], **options)
    return Evaluation(predictions, scores, int((ranking.cut > 0).sum()))


def score(predictions: Sequence[Prediction], task: Task, **options: Any) -> Scores:
    """Scores of predictions whose gold labels are known; `options` are those of classification_scores."""
    gold, answered = (_indices(task.labels, found) for found in _pairs(predictions))
    return classification_scores(gold, answered, task.labels, **options)


def _pairs(predictions: Sequence[Prediction]) -> tuple[list[str | None], list[str | None]]:
    return [p.gold for p in predictions], [p.label for p in predictions]


def _indices(labels: Sequence[str], found: Sequence[str | None]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    where = {label: i for i, label in enumerate(labels)}
    return np.array([UNPARSED if label is None else where[label] for label in found], dtype=np.int64)

"""An engine, a task and labeled examples in; predictions and scores with intervals out.

>>> evaluation = evaluate(engine, task, splits["validation"])
>>> evaluation.scores["macro_f1"]
Score(value=0.976, low=0.951, high=0.994, n=226)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack

import numpy as np

from fintune.config.run_config import RunConfig
from fintune.inference.answer import predict
from fintune.inference.engines import Engine
from fintune.records import Claims, Example, Prediction, Prompt, Scores
from fintune.tasks import Task
from fintune.tasks.metrics import UNPARSED, Floats, Ints, classification_scores


class ScoringOptions(TypedDict, total=False):
    """How the intervals of scores are made; the defaults are those of classification_scores."""

    resamples: int
    confidence: float


def scoring_options(config: RunConfig) -> ScoringOptions:
    """Return the options that section `evaluation` sets."""
    return {"resamples": config.evaluation.resamples, "confidence": config.evaluation.confidence}


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
    **options: Unpack[ScoringOptions],
) -> Evaluation:
    """Score `engine` on labeled examples."""
    texts, ids = [e.text for e in examples], [e.id for e in examples]
    answers, ranking = predict(engine, task, texts, ids, shown=shown, stage=stage)
    predictions = [replace(p, gold=e.label) for p, e in zip(answers, examples, strict=True)]
    gold = _indices(task.labels, [e.label for e in examples])
    loss = -ranking.log_probability[np.arange(len(gold)), gold]
    scores = score(predictions, task, loss=loss, tokens=ranking.tokens[gold], **options)
    return Evaluation(predictions, scores, int((ranking.cut > 0).sum()))


def score(
    predictions: Sequence[Prediction],
    task: Task,
    *,
    loss: Floats | None = None,
    tokens: Ints | None = None,
    **options: Unpack[ScoringOptions],
) -> Scores:
    """Return scores of predictions whose gold labels are known; `loss` and `tokens` are those of classification_scores."""
    gold = _indices(task.labels, [p.gold for p in predictions])
    answered = _indices(task.labels, [p.label for p in predictions])
    return classification_scores(gold, answered, task.labels, loss=loss, tokens=tokens, **options)


def _indices(labels: Sequence[str], answers: Sequence[str | None]) -> Ints:
    index = {label: i for i, label in enumerate(labels)}
    return np.array([UNPARSED if label is None else index[label] for label in answers], dtype=np.int64)

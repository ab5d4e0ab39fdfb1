"""An engine, a task and labelled examples in; predictions and scores with intervals out.

>>> evaluation = evaluate(engine, task, splits["validation"])
>>> evaluation.scores["macro_f1"]
Score(value=0.976, low=0.951, high=0.994, n=226)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fintune.engines import Engine, Ranking
from fintune.metrics import UNPARSED, classification_scores
from fintune.records import Example, Prediction, Scores
from fintune.tasks import Task


@dataclass(frozen=True)
class Evaluation:
    """What a model answered on a part, and how good that was; `cut` texts lost their middle."""

    predictions: list[Prediction]
    scores: Scores
    cut: int


def predict(
    engine: Engine, task: Task, texts: Sequence[str], ids: Sequence[str], *, stage: str = "predict"
) -> tuple[list[Prediction], Ranking]:
    """The most probable candidate for each text, and the ranking behind it."""
    candidates = list(task.candidates())
    ranking = engine.rank([task.prompt(text) for text in texts], candidates, stage=stage)
    predictions = []
    for name, text, row in zip(ids, texts, ranking.probabilities(), strict=True):
        answer = candidates[int(row.argmax())]
        named = {label: float(p) for label, p in zip(task.labels, row, strict=True)}
        predictions.append(Prediction(name, text, answer.strip(), task.parse_answer(answer), named))
    return predictions, ranking


def evaluate(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    stage: str = "score",
) -> Evaluation:
    """Score `engine` on labelled examples."""
    found, ranking = predict(engine, task, [e.text for e in examples], [e.id for e in examples], stage=stage)
    predictions = [
        Prediction(p.id, p.text, p.answer, p.label, p.probabilities, e.label)
        for p, e in zip(found, examples, strict=True)
    ]
    gold = _indices(task.labels, [e.label for e in examples])
    scores = classification_scores(
        gold,
        _indices(task.labels, [p.label for p in predictions]),
        task.labels,
        loss=-ranking.log_probability[np.arange(len(gold)), gold],
        tokens=ranking.tokens[gold],
        resamples=resamples,
        confidence=confidence,
    )
    return Evaluation(predictions, scores, int((ranking.cut > 0).sum()))


def _indices(labels: Sequence[str], found: Sequence[str | None]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    where = {label: i for i, label in enumerate(labels)}
    return np.array([UNPARSED if label is None else where[label] for label in found], dtype=np.int64)

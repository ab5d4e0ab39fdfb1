"""Labels as numbers, as tests draw them: their predictions, their scores, their resamples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.evaluation import significance
from fintune.records import Prediction, Scores
from fintune.tasks.classification import Classification, ClassificationOptions
from fintune.tasks.confusion import label_series
from fintune.tasks.metrics import bootstrap_weights, loss_series, scores_of
from tests.made_records import prediction

Ints = NDArray[np.int64]
UNPARSED = -1
HEADLINE = Classification.headline


def task_of(labels: Sequence[str]) -> Classification:
    return Classification(ClassificationOptions(labels=list(labels)))


def predictions(gold: Ints, answers: Ints, labels: Sequence[str]) -> list[Prediction]:
    said = [None if i == UNPARSED else labels[i] for i in answers]
    return [
        prediction(str(i), f"text {i}", said[i] or "?", said[i], {}, labels[g]) for i, g in enumerate(gold.tolist())
    ]


def classification_scores(
    gold: Ints, answers: Ints, labels: Sequence[str], *, loss: Any = None, tokens: Any = None, resamples: int = 1000,
    confidence: float = 0.95, seed: int = 0,
) -> Scores:  # fmt: skip
    made = predictions(gold, answers, labels)
    weights = bootstrap_weights(len(made), resamples, seed)
    series = label_series([p.gold for p in made], [p.answer for p in made], labels, weights)
    series |= {} if loss is None else loss_series(loss, tokens, weights)
    return scores_of(series, n=len(made), confidence=confidence)


def resample(
    gold: Ints, rows: Mapping[str, Ints], labels: Sequence[str], **how: int
) -> dict[str, significance.Resampled]:
    made = {name: [predictions(gold, run, labels) for run in runs] for name, runs in rows.items()}
    return significance.resample(task_of(labels), made, resamples=how["resamples"], seed=how.get("seed", 0))

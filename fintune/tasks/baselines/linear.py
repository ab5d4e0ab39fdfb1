"""Logistic regression whose strength is chosen on the validation part: what every baseline that learns ends in.

>>> model = best(lambda c: fit(train, c), validation)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fintune.tasks.baselines.protocol import Answers, Contest

REGULARIZATION = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Values of C that are tried (scikit-learn's LogisticRegression)."""


def regression(c: float) -> Any:
    """Logistic regression in which every label weighs as much."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=2000, class_weight="balanced")


def best(fit: Callable[[float], Any], inputs: Any, gold: Sequence[str]) -> Any:
    """Return the model of the highest macro-F1 on what it was not fitted to; of equals the most regularised."""
    from sklearn.metrics import f1_score

    models = [fit(c) for c in REGULARIZATION]
    quality = [f1_score(gold, m.predict(inputs), average="macro", zero_division=0) for m in models]
    return models[int(np.argmax(quality))]


def answers(model: Any, inputs: Any, contest: Contest) -> Answers:
    """Its most probable labels, and the probabilities in the order of the task's labels (0 for one it never saw)."""
    shares, column = model.predict_proba(inputs), {label: i for i, label in enumerate(model.classes_)}
    ordered = np.zeros((len(shares), len(contest.task.labels)))
    for i, label in enumerate(contest.task.labels):
        if label in column:
            ordered[:, i] = shares[:, column[label]]
    return Answers([str(label) for label in model.predict(inputs)], ordered)

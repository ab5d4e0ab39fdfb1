"""Linear models whose strength is chosen on the validation part: what every baseline that learns ends in.

Example:
    model = best(lambda c: fit(train, c), validation)
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fintune.records import Example
from fintune.tasks.baselines.protocol import Answers, BaselineInput

REGULARIZATION = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Values of C that are tried (scikit-learn's LogisticRegression)."""


PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Values of alpha that are tried (scikit-learn's Ridge)."""


class Regressor(Protocol):
    """What scikit-learn calls a regressor, as far as it is used here."""

    def fit(self, inputs: object, values: Sequence[float]) -> Self:
        """Learn from inputs and their values."""

    def predict(self, inputs: object) -> NDArray[np.float64]:
        """Return the value of each input."""


class Classifier(Protocol):
    """What scikit-learn calls a classifier, as far as it is used here."""

    classes_: Sequence[str]

    def fit(self, inputs: object, labels: Sequence[str]) -> Self:
        """Learn from inputs and their labels."""

    def predict(self, inputs: object) -> Sequence[str]:
        """Return the most probable label of each input."""

    def predict_proba(self, inputs: object) -> NDArray[np.float64]:
        """Return probabilities, shape `(inputs, classes_)`."""


def regression(c: float) -> Classifier:
    """Return a logistic regression in which every label weighs as much."""
    from sklearn.linear_model import LogisticRegression

    model: Classifier = LogisticRegression(C=c, max_iter=2000, class_weight="balanced")
    return model


def best(fit: Callable[[float], Classifier], inputs: object, gold: Sequence[str]) -> Classifier:
    """Return the model of the highest macro-F1 on what it was not fitted to; of equals the most regularized."""
    from sklearn.metrics import f1_score

    models = [fit(c) for c in REGULARIZATION]
    quality = [f1_score(gold, m.predict(inputs), average="macro", zero_division=0) for m in models]
    return models[int(np.argmax(quality))]


def nearest_ridge(fit: Callable[[float], Regressor], inputs: object, gold: Sequence[float]) -> Regressor:
    """Return the model of the smallest squared error on what it was not fitted to; of equals the most regularized."""
    models = [fit(penalty) for penalty in PENALTIES]
    errors = [float(np.mean((np.asarray(gold) - model.predict(inputs)) ** 2)) for model in models]
    return models[int(np.argmin(errors))]


def number(example: Example) -> float:
    """Return the value of an example of a task of numbers."""
    assert isinstance(example.target, float)
    return example.target


def answers(model: Classifier, inputs: object, visible: BaselineInput) -> Answers:
    """Return its most probable labels, and the probabilities in the order of the task's labels (0 for one it never saw)."""
    shares, column = model.predict_proba(inputs), {label: i for i, label in enumerate(model.classes_)}
    ordered = np.zeros((len(shares), len(visible.choices)))
    for i, label in enumerate(visible.choices):
        if label in column:
            ordered[:, i] = shares[:, column[label]]
    return Answers([str(label) for label in model.predict(inputs)], ordered)

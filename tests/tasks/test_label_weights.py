"""How much an example counts by its label, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fintune.tasks.label_weights import Weighting, label_weights

COUNTS = {"up": 5, "down": 20, "none": 175}


def test_balanced_is_that_of_scikit_learn() -> None:
    labels = [label for label, n in COUNTS.items() for _ in range(n)]
    expected = compute_class_weight("balanced", classes=np.array([*COUNTS]), y=np.array(labels))
    assert [*label_weights(COUNTS, "balanced").values()] == pytest.approx(expected.tolist())


@pytest.mark.parametrize("weighting", ["none", "sqrt", "balanced"])
def test_the_mean_over_examples_is_one(weighting: Weighting) -> None:
    weights = label_weights(COUNTS, weighting)
    assert sum(n * weights[label] for label, n in COUNTS.items()) / sum(COUNTS.values()) == pytest.approx(1)


def test_sqrt_weighs_by_the_root_of_how_much_rarer_a_label_is() -> None:
    weights = label_weights(COUNTS, "sqrt")
    assert weights["up"] / weights["down"] == pytest.approx(2)
    assert set(label_weights(COUNTS, "none").values()) == {1.0}

"""Which answer stands: by confidence, or by what mistakes cost, a person's look included."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fintune.errors import UsageError
from fintune.inference.calibration.rules import CostRule, SureEnough, read_costs
from tests.inference.calibration.draws import draws

CHOICES = ["down", "flat", "up"]
COSTS = {"down": {"flat": 3, "up": 10}, "flat": {"down": 1, "up": 1}, "up": {"down": 4, "flat": 2}}


def test_the_answer_costs_least_of_all_rules_that_see_the_same_probabilities() -> None:
    told, gold = draws(20_000, seed=3, spread=1.5)
    answers, abstain = CostRule.of(COSTS, CHOICES)(told, told.argmax(axis=1))
    paid = np.array([[COSTS[right].get(one, 0) for one in CHOICES] for right in CHOICES])
    mean = paid[gold, answers].mean()
    assert not abstain.any()
    assert mean < paid[gold, told.argmax(axis=1)].mean(), "less than by the most probable"
    assert all(mean < paid[gold, place].mean() for place in range(3)), "less than always the same"


@pytest.mark.parametrize(("look", "abstaining"), [(0.5, [False, False, False]), (0.15, [False, True, False])])
def test_a_look_is_taken_where_it_costs_less(look: float, abstaining: list[bool]) -> None:
    """Expected costs of the answers: 0.1 x 1, 0.2 x 1, 0.01 x 3 + 0.02 x 2."""
    rule = CostRule.of({right: {**row, "abstain": look} for right, row in COSTS.items()}, CHOICES)
    answers, abstain = rule(np.array([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [0.01, 0.97, 0.02]]), np.array([0, 2, 1]))
    assert (answers.tolist(), abstain.tolist()) == ([0, 2, 1], abstaining)


def test_sure_enough_keeps_the_task_s_answer_and_goes_by_its_confidence() -> None:
    answers, abstain = SureEnough(0.6)(np.array([[0.6, 0.4], [0.45, 0.55], [0.9, 0.1]]), np.array([0, 1, 1]))
    assert (answers.tolist(), abstain.tolist()) == ([0, 1, 1], [False, True, True])


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({"down": COSTS["down"], "flat": COSTS["flat"]}, "none for up"),
        ({**COSTS, "left": {}}, "left is no label"),
        ({**COSTS, "up": {"down": 1}}, "of up: none for flat"),
        ({**COSTS, "up": {"down": 1, "flat": 1, "sideways": 2}}, "sideways is no label"),
        ({**COSTS, "up": {"down": -1, "flat": 1}}, "down costs -1"),
        ({**COSTS, "up": {"down": 1, "flat": 1, "abstain": 1}}, "in some rows only"),
    ],
)
def test_costs_of_another_shape_are_refused(costs: Mapping[str, Mapping[str, float]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CostRule.of(costs, CHOICES)


@pytest.mark.parametrize("content", ["[1, 2]", "down: 3", "{down: {up: much}}", "{a: [", ""])
def test_a_file_without_costs_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match="no costs"):
        read_costs(path)

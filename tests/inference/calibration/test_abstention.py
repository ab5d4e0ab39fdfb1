"""Thresholds keep what they promise, as often as they promise it."""

import numpy as np
import pytest

from fintune.inference.calibration.abstention import (
    area_under_risk,
    certify,
    cheapest,
    needed_without_error,
    risk_coverage,
    upper_bounds,
)


def _drawn(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and whether answers are right: of the sure ones 0.5 % are wrong, of the others up to half."""
    sure = random.random(n)
    return sure, random.random(n) >= _risk(sure)


def _risk(sure: np.ndarray) -> np.ndarray:
    return 0.002 + 0.3 * (1 - sure) ** 2


def _true_share(confidence: float) -> float:
    """Return the mean of `_risk` above a confidence: the integral, by hand."""
    return 0.002 + 0.1 * (1 - confidence) ** 2


@pytest.mark.parametrize(("n", "most"), [(400, 0.05), (2_000, 0.02)])
def test_a_threshold_is_violated_no_more_often_than_its_level_says(n: int, most: float) -> None:
    random, times = np.random.default_rng(0), 1_000
    chosen = [certify(*_drawn(random, n), most) for _ in range(times)]
    violated = sum(one is not None and _true_share(one.confidence) > most for one in chosen)
    assert violated / times <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / times)
    assert sum(one is not None for one in chosen) > 0.3 * times  # and not by never choosing


def test_what_rows_cannot_show_is_not_promised() -> None:
    assert certify(np.linspace(0.5, 1, 597), np.ones(597, bool), 0.005) is None
    shown = certify(np.linspace(0.5, 1, 598), np.ones(598, bool), 0.005)
    assert shown is not None
    assert (shown.accepted, shown.errors, shown.bound <= 0.005) == (598, 0, True)
    assert needed_without_error(0.005) == 598


def test_equal_confidences_are_accepted_together_or_not_at_all() -> None:
    sure = np.array([0.9] * 300 + [0.8] * 300)
    right = np.array([True] * 300 + [True] * 270 + [False] * 30)
    chosen = certify(sure, right, 0.02)
    assert chosen is None or chosen.accepted == 300


def test_bounds_are_clopper_and_pearsons() -> None:
    from scipy.stats import binomtest

    exact = binomtest(3, 200, alternative="less").proportion_ci(0.95, method="exact").high
    assert upper_bounds(np.array([3]), np.array([200]))[0] == pytest.approx(exact)
    assert upper_bounds(np.array([5]), np.array([5]))[0] == 1.0


def test_risk_falls_with_coverage_where_confidence_ranks_right_answers_first() -> None:
    sure, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False])
    coverage, risk = risk_coverage(sure, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])
    assert area_under_risk(sure, right) < area_under_risk(sure[::-1], right)


def test_the_cheapest_decision_may_be_to_ask_a_person() -> None:
    costs = np.array([[0.0, 1.0, 0.3], [10.0, 0.0, 0.3]])  # decisions: the first label, the second, a person
    decisions, expected = cheapest(np.array([[0.99, 0.01], [0.9, 0.1], [0.1, 0.9]]), costs)
    assert decisions.tolist() == [0, 2, 1]
    assert expected.tolist() == pytest.approx([0.1, 0.3, 0.1])

"""Calibration errors: near nothing where there is none, near what there is, and never without their interval."""

import numpy as np
import pytest

from fintune.inference.calibration.measures import calibration_errors, floor, measures
from tests.inference.calibration.draws import draws


def _error(sure: np.ndarray, right: np.ndarray) -> float:
    return float(calibration_errors(sure, right, np.ones((1, len(sure))))[0])


def test_an_error_that_is_there_is_measured() -> None:
    random = np.random.default_rng(0)
    sure = random.uniform(0.6, 0.95, 20_000)
    right = random.random(20_000) < sure - 0.1
    assert _error(sure, right) == pytest.approx(0.1, abs=0.01)  # three standard errors of a mean of 20,000


def test_what_chance_adds_is_taken_off() -> None:
    random = np.random.default_rng(1)
    plain, debiased = [], []
    for _ in range(200):
        sure = random.uniform(0.6, 1.0, 300)
        right = random.random(300) < sure
        debiased.append(_error(sure, right))
        plain.append(_plain(sure, right))
    assert np.mean(debiased) < 0.7 * np.mean(plain)


def _plain(sure: np.ndarray, right: np.ndarray) -> float:
    parts = np.array_split(np.argsort(sure), 10)
    return float(sum(len(p) * abs(sure[p].mean() - right[p].mean()) for p in parts) / len(sure))


def test_the_floor_is_what_a_calibrated_model_shows() -> None:
    told, gold = draws(2_000, seed=5)
    sure, right = told.max(axis=1), told.argmax(axis=1) == gold
    assert 0 < floor(sure) < 0.02
    assert floor(sure[:200]) > 2 * floor(sure)
    assert _error(sure, right) < 3 * floor(sure)


def test_measures_come_with_intervals_and_rows_of_one_record_count_together() -> None:
    told, gold = draws(400, temperature=3.0, seed=6)
    alone = measures(told, gold, np.arange(400))
    assert set(alone) == {"right", "nll", "brier", "ece", "classwise_ece"}
    assert all(score.low <= score.value <= score.high and score.n == 400 for score in alone.values())
    twice = np.repeat(np.arange(400), 2)
    together = measures(told[twice], gold[twice], twice)
    assert together["nll"].value == pytest.approx(alone["nll"].value)
    assert together["nll"].high - together["nll"].low == pytest.approx(alone["nll"].high - alone["nll"].low, rel=0.2)

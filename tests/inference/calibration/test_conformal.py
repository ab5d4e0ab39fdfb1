"""Sets hold the right answer as often as was asked."""

import numpy as np
import pytest

from fintune.inference.calibration.conformal import fit_quantiles, quantile, sets
from tests.inference.calibration.draws import draws


@pytest.mark.parametrize("by_class", [False, True])
def test_coverage_over_resplits_is_what_was_asked(by_class: bool) -> None:
    told, gold = draws(4_000, temperature=2.0, spread=1.0, seed=7)
    random, covered, classes = np.random.default_rng(0), [], []
    for _ in range(100):
        order = random.permutation(len(gold))
        fitted, new = order[:2_000], order[2_000:]
        inside = sets(told[new], fit_quantiles(told[fitted], gold[fitted], 0.9, by_class=by_class))
        held = inside[np.arange(len(new)), gold[new]]
        covered.append(held.mean())
        classes.append([held[gold[new] == choice].mean() for choice in range(3)])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.005)
    if by_class:
        assert np.mean(classes, axis=0) == pytest.approx([0.9] * 3, abs=0.01)


def test_no_set_is_empty_and_too_few_rows_promise_nothing_small() -> None:
    told = np.array([[0.4, 0.35, 0.25]])
    assert sets(told, np.zeros(3)).tolist() == [[True, False, False]]
    assert quantile(np.array([0.1, 0.2]), 0.95) == float("inf")
    assert sets(told, fit_quantiles(told, np.array([0]), 0.99)).all()


def test_the_order_statistic_is_the_one_of_the_proof() -> None:
    assert quantile(np.arange(1, 20) / 100, 0.95) == 0.19  # ceil(20 * 0.95) = 19th of 19
    assert quantile(np.arange(1, 100) / 100, 0.9) == 0.9

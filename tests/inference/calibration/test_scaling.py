"""Maps find what was done to probabilities, and undo it."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from fintune.inference.calibration.scaling import SCALINGS, Scaling, Temperature, estimated_shares, nll_of, shift_of
from tests.inference.calibration.draws import draws


def test_a_temperature_is_found_again() -> None:
    told, gold = draws(20_000, temperature=2.5)
    found = SCALINGS["temperature"].fit(told, gold)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(2.5, rel=0.05)  # its standard error at 20,000 rows is 0.02
    honest, _ = draws(20_000)
    assert np.abs(found(told) - honest).mean() < 0.005


@pytest.mark.parametrize("name", SCALINGS)
def test_every_map_is_no_worse_than_none_on_its_own_rows_and_survives_json(name: str) -> None:
    told, gold = draws(3_000, temperature=2.0, seed=1)
    found = SCALINGS[name].fit(told, gold)
    assert nll_of(found(told), gold) <= nll_of(told, gold) + 1e-9
    assert np.allclose(found(told).sum(axis=1), 1)
    adapter = TypeAdapter[Scaling](Scaling)
    again = adapter.validate_json(adapter.dump_json(found))
    assert np.array_equal(again(told), found(told))
    if SCALINGS[name].keeps_order:
        assert np.array_equal(found(told).argmax(axis=1), told.argmax(axis=1))


@pytest.mark.parametrize("name", SCALINGS)
def test_no_map_makes_certain_what_few_rows_show(name: str) -> None:
    told, _ = draws(60, seed=2, spread=6.0)
    found = SCALINGS[name].fit(told, told.argmax(axis=1))  # every answer right
    assert np.isfinite(found(told)).all()
    assert name == "none" or found(np.array([[1.0, 0.0, 0.0]])).max() <= 1.0


def test_vector_scaling_finds_a_bias_that_no_temperature_can() -> None:
    honest, gold = draws(20_000, seed=3)
    biased = honest * np.array([4.0, 1.0, 1.0])
    biased /= biased.sum(axis=1, keepdims=True)
    losses = {name: nll_of(SCALINGS[name].fit(biased, gold)(biased), gold) for name in ("temperature", "vector")}
    assert losses["vector"] == pytest.approx(nll_of(honest, gold), abs=1e-3)
    assert losses["temperature"] > nll_of(honest, gold) + 0.02


def test_other_shares_are_estimated_and_corrected() -> None:
    honest, gold = draws(40_000, seed=4)
    keep = np.random.default_rng(0).random(len(gold)) < np.array([1.0, 0.5, 0.1])[gold]
    told, right = honest[keep], gold[keep]
    trained, used = np.bincount(gold) / len(gold), np.bincount(right) / len(right)
    assert np.abs(estimated_shares(told, trained) - used).max() < 0.01
    assert nll_of(shift_of(trained, used)(told), right) < nll_of(told, right) - 0.05

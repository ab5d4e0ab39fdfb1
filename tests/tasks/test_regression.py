"""A number per text: what is read, what is answered, and every figure against scikit-learn and scipy."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from sklearn import metrics as reference

from fintune.records import Example, Fault
from fintune.tasks.metrics import bootstrap_weights
from fintune.tasks.number_series import number_series
from fintune.tasks.regression import Regression, RegressionOptions
from tests.made_records import prediction, row


def task(**options: Any) -> Regression:
    return Regression(RegressionOptions(**options))


def asked(target: float | None = None) -> Example:
    return Example("", {"text": "x"}, target)


def test_choices_are_written_with_the_digits_they_need() -> None:
    assert list(task(steps=5).choices()) == ["-1.0", "-0.5", "0.0", "0.5", "1.0"]
    assert list(task(steps=9).choices())[:2] == ["-1.00", "-0.75"]
    assert list(task(low=0, high=10, steps=11).choices().values())[:3] == [" 0.0", " 1.0", " 2.0"]
    assert len(set(task(low=0, high=1, steps=101).choices())) == 101


def test_the_answer_is_the_expectation_and_the_target_the_nearest_choice() -> None:
    chosen = task(steps=5)
    shares = dict(zip(chosen.choices(), (0.0, 0.25, 0.25, 0.5, 0.0), strict=True))
    assert chosen.decide(shares, asked()) == pytest.approx(0.125)
    assert [chosen.target(asked(value)) for value in (-1.0, -0.3, 0.24, 0.26, 1.0)] == [
        " -1.0", " -0.5", " 0.0", " 0.5", " 1.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "value"), [("0.5", 0.5), ("-1", -1.0), ("+.25", 0.25), ("1e-3", 0.001), ("1.", 1.0), ("0", 0.0)]
)
def test_plain_numbers_are_read(written: str, value: float) -> None:
    (parsed,) = task().parse(row("f.csv:2", "x", written))
    assert isinstance(parsed, Example)
    assert (parsed.target, task().stratum(parsed)) == (value, None)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("1,234.5", "'1,234.5' is no plain number"),
        ("12 %", "'12 %' is no plain number"),
        ("(3)", "'(3)' is no plain number"),
        ("0,5", "'0,5' is no plain number"),
        ("nan", "'nan' is no plain number"),
        ("inf", "'inf' is no plain number"),
        ("1_0", "'1_0' is no plain number"),
        ("", "no number"),
        (None, "no number"),
        ("1.5", "1.5 is outside the scale of -1 to 1"),
        ("-1e9", "-1e9 is outside the scale of -1 to 1"),
    ],
)
def test_what_may_be_meant_otherwise_is_a_fault_that_names_the_row(written: str | None, problem: str) -> None:
    (fault,) = task().parse(row("f.csv:2", "x", written))
    assert isinstance(fault, Fault)
    assert (fault.where, fault.kind, fault.problem, fault.value) == ("f.csv:2", "unknown-label", problem, written or "")
    assert fault.hint


@pytest.mark.parametrize(
    "options",
    [{"low": 1, "high": 1}, {"low": 2, "high": 1}, {"steps": 1}, {"low": 0, "high": 1e-9}, {"high": math.inf}],
)
def test_scales_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        task(**options)


@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_scipy_and_scikit_learn_on_the_sample_and_on_every_resample(seed: int) -> None:
    random = np.random.default_rng(seed)
    gold = random.integers(-4, 5, 60) / 4  # with ties
    said = np.clip(gold + random.normal(0, 0.4, 60).round(1 if seed % 2 else 8), -1, 1)
    weights = bootstrap_weights(60, 20, seed)
    series = number_series(gold, said, weights)
    for i, draw in enumerate(weights.astype(int)):
        a, b = np.repeat(gold, draw), np.repeat(said, draw)
        expected = {
            "mae": reference.mean_absolute_error(a, b),
            "mse": reference.mean_squared_error(a, b),
            "r2": reference.r2_score(a, b),
            "pearson": stats.pearsonr(a, b).statistic,
            "spearman": stats.spearmanr(a, b).statistic,
            "cosine": a @ b / np.sqrt((a @ a) * (b @ b)),
        }
        assert {name: values[i] for name, values in series.items()} == pytest.approx(expected, abs=1e-10)


def test_what_does_not_vary_is_correlated_with_nothing() -> None:
    series = number_series(np.array([0.0, 0.5, 1.0]), np.zeros(3), np.ones((1, 3)))
    assert {name: float(values[0]) for name, values in series.items()} == pytest.approx({
        "mae": 0.5, "mse": 1.25 / 3, "r2": 1 - 1.25 / 0.5, "pearson": 0, "spearman": 0, "cosine": 0,
    })  # fmt: skip
    assert number_series(np.ones(3), np.ones(3), np.ones((1, 3)))["r2"][0] == 0


def test_an_answer_that_could_not_be_read_counts_as_the_middle() -> None:
    said = [prediction("1", "x", "?", None, {}, 1.0), prediction("2", "x", "1.0", 1.0, {}, 1.0)]
    assert task().score(said, np.ones((1, 2)))["mae"][0] == 0.5


def test_numbers_that_are_all_alike_have_no_r2() -> None:
    assert number_series(np.full(10, 0.1), np.full(10, 0.3), np.ones((1, 10)))["r2"][0] == 0

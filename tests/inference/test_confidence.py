"""Bins, calibration error, and which texts are shown, on answers whose figures can be worked out by hand."""

import pytest

from fintune.inference.confidence import (
    confusion,
    expected_calibration_error,
    histogram,
    lead,
    least_sure,
    reliability,
    surest_mistakes,
)
from fintune.records import Prediction
from tests.made_records import prediction


def answer(sure: float, right: bool, name: str = "x") -> Prediction:
    return prediction(name, "t", "a", "a", {"a": sure, "b": 1 - sure}, "a" if right else "b")


def test_the_error_is_the_weighted_distance_of_confidence_and_share_right() -> None:
    found = reliability([answer(0.92, True), answer(0.94, True), answer(0.96, False), answer(0.55, True)])
    assert [(b.n, round(b.confidence, 4), b.right) for b in found] == [(1, 0.55, 1.0), (3, 0.94, 2 / 3)]
    assert expected_calibration_error(found) == pytest.approx((0.45 + 3 * (0.94 - 2 / 3)) / 4)


def test_the_interval_of_a_bin_is_wilsons() -> None:
    found = reliability([answer(0.95, True)] * 10)[0]
    assert (found.low, found.high) == (pytest.approx(10 / (10 + 1.959964**2), abs=1e-6), pytest.approx(1.0))


def test_full_confidence_belongs_to_the_last_bin() -> None:
    assert [b.n for b in reliability([answer(1.0, True), answer(0.9, True)])] == [2]


def test_a_histogram_counts_every_answer_once() -> None:
    found = histogram([answer(1.0, True), answer(0.5, True), answer(0.51, False)])
    assert (sum(row["right"] for row in found), sum(row["wrong"] for row in found)) == (2, 1)
    assert (found[0]["from"], found[-1]["to"]) == (0.5, 1.0)


def test_texts_to_look_at_come_in_order() -> None:
    given = [answer(0.6, False, "w6"), answer(0.9, False, "w9"), answer(0.99, True, "r"), answer(0.52, True, "u")]
    assert [p.id for p in surest_mistakes(given, 5)] == ["w9", "w6"]
    assert [p.id for p in least_sure(given, 2)] == ["u", "w6"]
    assert lead(given[0]) == pytest.approx(0.2)


def test_answers_that_cannot_be_read_have_a_column_of_their_own() -> None:
    unread = prediction("x", "t", "??", None, {"a": 0.5, "b": 0.5}, "b")
    assert confusion([answer(0.9, True), answer(0.9, False), unread], ["a", "b"]) == [[1, 0, 0], [1, 0, 1]]

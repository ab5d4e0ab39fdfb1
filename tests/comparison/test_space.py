"""Ranges of a search, from the settings' own types and bounds."""

from typing import Any

import pytest

from fintune.comparison.space import Range, space
from fintune.config.load import load
from fintune.errors import UsageError


def only(setting: str, **train: Any) -> Range:
    config = load({"method": {"name": "lora", "r": 8}, "train": train})
    (found,) = space(config, [setting])
    return found


def test_a_number_with_no_upper_bound_is_tried_around_its_value() -> None:
    rate = only("learning_rate", learning_rate=1e-3)
    assert (rate.key, rate.log, rate.whole) == ("train.learning_rate", True, False)
    assert (rate.low, rate.high) == (pytest.approx(1e-4), pytest.approx(1e-2))
    assert only("r") == Range("method.r", 2, 32, log=True, whole=True)
    assert only("batch_size", batch_size=2) == Range("train.batch_size", 1, 8, log=True, whole=True)


def test_a_share_is_tried_as_a_whole_and_a_choice_by_its_members() -> None:
    dropout = only("lora_dropout")
    assert (dropout.key, dropout.low, dropout.log) == ("method.lora_dropout", 0, False)
    assert 0.9 < dropout.high <= 1
    assert only("lr_scheduler_type").choices == ("linear", "cosine", "constant_with_warmup")
    assert only("train.lean").choices == (False, True)


def test_a_range_may_be_given() -> None:
    assert only("r=4:64") == Range("method.r", 4, 64, log=True, whole=True)
    assert only("train.warmup_ratio=0:0.2") == Range("train.warmup_ratio", 0, 0.2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learnin_rate", "no setting of train or of lora"),
        ("epochs", "no setting of train"),
        ("r=64:4", "not a range"),
        ("r=4", "not a range"),
        ("report_to", "neither a number nor a choice"),
        ("weight_decay", "no number to search around (0.0)"),
    ],
)
def test_what_cannot_be_searched(setting: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        only(setting)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("setting", ["r=0:16", "lora_dropout=0.1:1.5"])
def test_a_range_beyond_what_a_setting_may_be_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=f"{setting}: beyond what method"):
        space(load({}), [setting])


def test_nothing_to_search() -> None:
    with pytest.raises(UsageError, match="no setting named"):
        space(load({}), [])

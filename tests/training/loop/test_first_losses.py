"""A training above guessing after half an epoch says so once, unless its loss still falls or there are too few steps to tell."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.config.train import TrainSection
from fintune.evaluation.guessing import guessing_a_token
from fintune.runtime.progress import Progress, listening
from fintune.training.loop.first_losses import FirstLosses
from tests.tiny import config_for
from tests.training.loop.test_resume import Caller, Killed
from tests.training.loop.test_trainer import fit, tuned

SAID = "nothing learned yet: try a lower learning rate"
BARE = ["evaluation.baselines=[majority]", "train.epochs=1", "evaluation.test=false"]


def heard(losses: list[float], guessing: float) -> FirstLosses:
    first = FirstLosses(len(losses) * 2, guessing)
    for step, loss in enumerate(losses, start=1):
        first.note(step, torch.tensor(loss))
    return first


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([9.0, 9.0, 9.0, 9.0, 0.6, 0.7, 0.6, 0.7], True),
        ([9.0, 9.0, 9.0, 9.0, 0.6, 0.4, 0.4, 0.4], False),
        ([9.0, 9.0, 9.0, 9.0, 4.0, 3.0, 2.1, 1.2], False),
        ([9.0, 9.0, 9.0, 9.0, 4.0, 5.0, 6.1, 7.2], True),
        ([9.0, 9.0, 9.0, 9.0, 9.0, 9.0], False),
    ],
    ids=["level above guessing", "below guessing", "still falling", "rising", "too few steps"],
)
def test_the_second_quarter_of_the_epoch_tells(losses: list[float], said: bool) -> None:
    assert heard(losses, 0.5).nothing_learned() is said


@pytest.mark.parametrize(("start", "stands"), [(5.2, True), (5.0, True), (9.0, False), (1.0, False)])
def test_a_loss_that_stands_where_it_began_may_have_too_low_a_rate(start: float, stands: bool) -> None:
    assert heard([start, *[5.0] * 7], 0.5).stands() is stands


def test_parts_of_an_accumulated_step_are_one_loss() -> None:
    first = FirstLosses(16, 0.5)
    for step in (4, 5, 5, 6, 6, 7, 7, 8, 8, 9):
        first.note(step, torch.tensor(0.5))
    assert first.losses == [1.0] * 4


def entropy(share: float) -> float:
    """Of two labels, nats."""
    return -(share * math.log(share) + (1 - share) * math.log(1 - share))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"class_weights": "none"}, (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / 2.5),
        ({"class_weights": "sqrt"}, entropy(3**0.5 / (3**0.5 + 1)) / 2.5),
        ({"class_weights": "balanced"}, math.log(2) / 2.5),
        ({"sampling": "balanced"}, math.log(2) / 3),
        ({"label_smoothing_factor": 0.1}, math.inf),
    ],
)
def test_guessing_is_measured_as_training_measures(settings: dict[str, Any], expected: float) -> None:
    labels, lengths = ["up", "up", "up", "down"], [2, 2, 2, 4]
    assert guessing_a_token(labels, lengths, TrainSection(**settings)) == pytest.approx(expected)


@pytest.mark.parametrize(("rate", "times"), [(1, 1), (3e-2, 0)], ids=["diverges", "learns"])
def test_a_run_says_it_once_where_it_is_so(
    tiny_model: Path, rows_file: Path, tmp_path: Path, rate: float, times: int
) -> None:
    events: list[Progress] = []
    with listening(events.append):
        run = fintune.train(config_for(tiny_model, rows_file, tmp_path), [*BARE, f"train.learning_rate={rate}"])
    assert sum(SAID in event.note for event in events) == times
    notes = [line for line in run.log() if "note" in line]
    assert [SAID in line["note"] for line in notes] == [True] * times
    assert all(line["at_step"] == 8 and line["mean_loss"] > line["guessing_loss"] for line in notes)


def test_a_resumed_run_does_not_say_it_again(tiny_causal: Path, tmp_path: Path) -> None:
    events: list[Progress] = []
    settings: dict[str, Any] = {"n": 16, "batch_size": 1, "learning_rate": 1e-9, "save_steps": 0}
    caller = Caller(tuned(tiny_causal), dies_at=lambda what, n: (what, n) == ("step", 10))
    with listening(events.append):
        with pytest.raises(Killed):
            fit(caller.model, tmp_path, replace(caller.hooks(), guessing=0.1), **settings)
        again = Caller(tuned(tiny_causal))
        again.lines = caller.lines
        fit(again.model, tmp_path, replace(again.hooks(), guessing=0.1), resume=True, **settings)
    assert sum("nothing learned yet: try another" in event.note for event in events) == 1
    assert sum("note" in line for line in again.lines) == 1
    assert [line["step"] for line in again.lines if "loss" in line] == list(range(1, 17))

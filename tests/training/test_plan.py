"""What `fintune plan` says before a run: parts that add up, and figures that follow the run's own arithmetic."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.config.train import TrainSection
from fintune.errors import BrokenEnvironment
from fintune.methods import METHODS
from fintune.models.batches import collate_causal, micro_batches
from fintune.records import Encoded
from fintune.training.measure import MEASURED_STEPS, Measured, _largest_part, _longest
from fintune.training.plan import Estimate, _times, plan
from tests.conftest import Command


def test_a_plan_adds_up_and_leaves_nothing_behind(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    found = plan(tiny_config)
    assert found.steps == 5 * math.ceil(63 / 4)
    assert found.measured == MEASURED_STEPS
    assert found.peak == sum(found.memory.values()) > 100_000_000
    assert found.times["train"] == pytest.approx(found.step_seconds * found.steps)
    assert all(seconds > 0 for seconds in found.times.values())
    assert not (tmp_path / "runs").exists()


def test_states_of_the_trunk_are_planned_for_and_not_kept(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    assert "trunk" not in plan(tiny_config).times
    found = plan(tiny_config | {"method": {"name": "lora", "layers": "top:1"}})
    assert found.times["trunk"] > 0
    assert not (tmp_path / "trunk").exists()


def test_what_a_method_does_at_every_step_is_measured_too(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped: list[int] = []
    method = METHODS["adalora"]
    assert method.steps is not None
    counting = replace(method.steps, stepped=lambda model, step: stepped.append(step))
    monkeypatch.setitem(METHODS, "adalora", replace(method, steps=counting))
    found = plan(tiny_config | {"method": {"name": "adalora"}})
    assert len(stepped) == found.measured + 2, "the first step, which is left out, and the longest batch"


def test_more_epochs_cost_in_proportion(tiny_config: dict[str, Any]) -> None:
    once = plan(tiny_config, ["train.epochs=1"]).record()
    assert once["seconds"]["train"] == pytest.approx(once["seconds_per_step"] * 16)
    without = plan(tiny_config, ["evaluation.test=false", "evaluation.baselines=[]"]).record()
    assert without["seconds"]["score"] < without["seconds"]["judge epochs"]


@pytest.mark.parametrize(
    ("baselines", "scored"), [("[tfidf, lexicon]", 27), ("[zero-shot]", 45), ("[zero-shot, few-shot]", 63)]
)
def test_baselines_that_ask_the_model_cost_a_scoring_each(
    tiny_config: dict[str, Any], baselines: str, scored: int
) -> None:
    prepared = prepare(load(tiny_config, [f"evaluation.baselines={baselines}"]))
    measured = Measured(steps=10, step=1.0, judge=1.0, score=1.0, trunk=0.0)
    assert _times(prepared, 0.0, measured, 63)["score"] == scored, "9 to validate and 18 to test, and 18 for each"


def test_later_epochs_of_hard_examples_cost_their_share(tiny_config: dict[str, Any]) -> None:
    measured = Measured(steps=10, step=1.0, judge=1.0, score=1.0, trunk=0.0)
    settings = ["train.epochs=3", "train.batch_size=4"]
    whole = _times(prepare(load(tiny_config, settings)), 0.0, measured, 64)
    half = _times(prepare(load(tiny_config, [*settings, "train.hard_example_ratio=0.5"])), 0.0, measured, 64)
    assert (whole["train"], half["train"]) == (48, 32)


def test_the_largest_part_is_that_of_the_batches(tiny_causal: Path) -> None:
    rows = [Encoded([257] * n, [65, 258]) for n in (3, 5, 8, 13, 21, 34, 34, 34)]
    settings = TrainSection(batch_size=4, micro_batch_tokens=80)
    longest = _longest(rows, settings)
    parts = micro_batches(collate_causal(longest, 256), settings.micro_batch_tokens)
    assert _largest_part(longest, settings) == max(part["input_ids"].numel() for part in parts) == 70


def test_weights_that_do_not_fit_are_refused_before_they_are_loaded(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintune.runtime.memory.machine_memory", lambda: 10_000)
    monkeypatch.setattr("fintune.training.plan.load_base", lambda config: 1 / 0)
    with pytest.raises(BrokenEnvironment, match=r"the weights take .* GB, and there are 0\.0 GB"):
        plan(tiny_config)


def test_weights_in_fewer_bits_need_less_room(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from fintune.models.references import weight_count

    count = weight_count(tiny_config["model"]["base"])
    monkeypatch.setattr("fintune.runtime.memory.machine_memory", lambda: 2 * count)
    monkeypatch.setattr("fintune.training.plan.load_base", lambda config: 1 / 0)
    with pytest.raises(BrokenEnvironment, match="the weights take"):
        plan(tiny_config)
    for quantization in ("nf4", "int8"):
        with pytest.raises(ZeroDivisionError):
            plan(tiny_config, [f"model.quantization={quantization}"])


def test_weights_are_counted_from_headers_alone(tiny_causal: Path, tmp_path: Path) -> None:
    from fintune.models.references import weight_count

    folder = tmp_path / "huge"
    shutil.copytree(tiny_causal, folder)
    file = folder / "model.safetensors"
    with file.open("r+b") as opened:
        opened.truncate(10**13)  # sparse: more than any memory
    assert weight_count(str(folder)) == weight_count(str(tiny_causal)) > 10_000


def test_the_command_prints_and_judges(
    tiny_config: dict[str, Any], config_file: Path, fin: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = fin("plan", config_file)
    assert shown.code == 0
    assert "memory at most" in shown.out
    assert f"next: fintune train {config_file}" in shown.out
    record = json.loads(fin("plan", config_file, "--json").out)
    assert record["bytes"]["peak"] < record["bytes"]["machine"]
    too_much = Estimate(1, 1, 1.0, {"weights": 3}, 2, {"train": 1.0})
    monkeypatch.setattr("fintune.training.plan.plan", lambda *_: too_much)
    refused = fin("plan", config_file)
    assert (refused.code, "too much" in refused.out) == (1, True)

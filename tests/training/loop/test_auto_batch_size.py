"""`batch_size: auto`: measured once, remembered, and nothing else of the model is touched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.config.train import TrainSection
from fintune.errors import ConfigError
from fintune.methods.lora.fused import _Asking
from fintune.models.loss import answer_loss
from fintune.models.shortcuts.shortcuts import Shortcuts
from fintune.training.loop import auto_batch_size
from tests.training.loop.test_trainer import adapter, encoded_rows, tuned


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(auto_batch_size, "_SECONDS", 0.05)
    return tmp_path / "cache"


@pytest.mark.parametrize(("rates", "chosen"), [((10, 9, 8), 8), ((5, 9, 10), 32), ((5, 9.6, 10), 16)])
def test_the_smallest_of_the_nearly_fastest_is_chosen_and_remembered(
    tiny_causal: Path, monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...], chosen: int
) -> None:
    measured = dict(zip(auto_batch_size.SIZES, rates, strict=True))
    asked: list[int] = []

    def rate(loaded: Any, batch: Any, *_: Any) -> float:
        asked.append(len(batch))
        return measured[len(batch)]

    monkeypatch.setattr(auto_batch_size, "_rate", rate)
    loaded = tuned(tiny_causal)
    rows, settings = encoded_rows(loaded, 60), TrainSection(batch_size="auto")
    assert auto_batch_size.resolved(loaded, rows, settings, {}) == chosen
    assert auto_batch_size.resolved(loaded, rows, settings, {}) == chosen
    assert asked == list(auto_batch_size.SIZES)
    auto_batch_size.resolved(loaded, rows, settings, {"r": 4})
    auto_batch_size.resolved(loaded, rows, TrainSection(batch_size="auto", gradient_checkpointing=True), {})
    assert len(asked) == 9
    assert auto_batch_size.resolved(loaded, rows, TrainSection(batch_size=7), {}) == 7


def test_measuring_leaves_parameters_and_random_numbers_as_they_were(tiny_model: Path) -> None:
    loaded = tuned(tiny_model, dropout=0.1)
    forwards = [module.__dict__.get("forward") for module in loaded.model.modules()]
    before, random = adapter(loaded), torch.get_rng_state()
    assert (
        auto_batch_size.resolved(loaded, encoded_rows(loaded, 60), TrainSection(batch_size="auto"), {})
        in auto_batch_size.SIZES
    )
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in adapter(loaded).items())
    assert all(p.grad is None for p in loaded.model.parameters())
    assert [module.__dict__.get("forward") for module in loaded.model.modules()] == forwards


def test_what_is_measured_is_what_will_train(tiny_causal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused layers are inside and only the candidates' logits are computed."""
    loaded, seen = tuned(tiny_causal), []
    rows = encoded_rows(loaded, 60)
    wanted = torch.tensor(sorted({row.answer_ids[0] for row in rows}))
    first = [replace(row, answer_ids=row.answer_ids[:1]) for row in rows]

    def loss(outputs: Any, labels: torch.Tensor, **more: Any) -> torch.Tensor:
        grouped = any(isinstance(m.__dict__.get("forward"), _Asking) for m in loaded.model.modules())
        seen.append((outputs.logits.shape[-1], grouped))
        return answer_loss(outputs, labels, **more)

    monkeypatch.setattr(auto_batch_size, "answer_loss", loss)
    auto_batch_size.resolved(loaded, first, TrainSection(batch_size="auto"), {}, Shortcuts(rows=wanted))
    assert set(seen) == {(len(wanted), True)}


def test_a_run_keeps_what_was_found_and_goes_on_with_it(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_batch_size, "_measured", lambda *_: 8)
    run = fintune.train(tiny_config, ["train.batch_size=auto", "train.epochs=1"])
    assert run.environment()["batch_size"] == 8
    assert [line["step"] for line in run.log() if "step" in line][-1] == 8
    with pytest.raises(ConfigError, match=r"train\.batch_size: must be auto, or 1 to 65,536"):
        fintune.train(tiny_config, ["train.batch_size=0"])

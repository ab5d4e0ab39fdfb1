"""A tiny model with an adapter as training finds it, and what tests look at in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import set_seed

from fintune.inference.engines.torch_engine import TorchEngine
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.methods.example_losses import example_losses
from fintune.methods.lora.lora import LoraOptions
from fintune.methods.peft_format import save
from fintune.models import LoadedModel
from fintune.records import Prompt
from tests.loaded import fresh, nothing_saved
from tests.training.loop.test_trainer import encoded_rows, fit, silent

EXAMPLES = 24
PROMPTS = [
    Prompt.around("", text, "")
    for text in ("Alvex of Oslo +", "Bormas of Lima and a longer tail of words -", "Cyrit =")
]


def started(model: Path, *, seed: int = 0, dtype: str = "auto", **options: Any) -> LoadedModel:
    """A tiny model with its adapter as training finds it."""
    loaded = fresh(model, dtype=dtype)
    chosen = LoraOptions(**({"r": 4, "lora_dropout": 0.0} | options)).resolved(loaded.tokenizer)
    set_seed(seed)
    tuned = replace(loaded, model=METHODS["lora"].attach(loaded.model, chosen, loaded.kind))
    METHODS["lora"].initialize(tuned.model, chosen, example_losses(tuned, encoded_rows(loaded, EXAMPLES), seed))
    return tuned


def layers(loaded: LoadedModel) -> dict[str, Any]:
    return {n: m for n, m in loaded.model.named_modules() if "default" in getattr(m, "lora_A", ())}


def factors(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()


def scores(loaded: LoadedModel) -> np.ndarray:
    loaded.model.eval()
    return TorchEngine(loaded, max_length=96).rank(PROMPTS, ["up", "down", "sideways"]).log_probability


def assert_trains_and_comes_back(model: Path, folder: Path, **options: Any) -> LoadedModel:
    """Train, save, and load onto an untouched base model: the same scores as when it was trained. Returns the trained one."""
    tuned, untouched = started(model, **options), fresh(model)
    before = scores(tuned)
    with nothing_saved():
        fit(tuned, folder, silent(), n=EXAMPLES, learning_rate=2e-3)
    trained = scores(tuned)
    assert np.abs(trained - before).max() > 1e-2, "it has learned something"
    save(tuned.model, folder / "adapter")
    np.testing.assert_allclose(scores(tuned), trained, atol=0)
    np.testing.assert_allclose(scores(load_adapter(untouched, folder / "adapter")), trained, atol=1e-5, rtol=1e-6)
    return tuned

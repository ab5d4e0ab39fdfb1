"""What is written of a PEFT model: an adapter that plain PEFT puts on the untouched base model, the same bytes each time.

Some starts take from the base what the adapter begins with, and PEFT cannot take it again on loading (it would need the
examples, or the same random numbers). Of these the difference to the start is saved: W + BA - B0A0, a LoRA of twice the rank.
"""

import copy
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig, PeftModel

from fintune.runtime.library_messages import INVALID_SHAPE

_ADAPTER = "default"
_STARTS = "fintune_starts"


def remember_start(model: "PeftModel") -> None:
    """Keep A and B as they are now, which the base has given up, for `save`."""
    starts = {
        name: tuple(getattr(layer, part)[_ADAPTER].weight.detach().clone() for part in ("lora_A", "lora_B"))
        for name, layer in model.named_modules()
        if _ADAPTER in getattr(layer, "lora_A", ())
    }
    setattr(model, _STARTS, starts)


def save(model: "PeftModel", folder: Path) -> None:
    """Save the adapters of a PeftModel to `folder`."""
    starts, configs = getattr(model, _STARTS, None), dict(model.peft_config)
    try:
        for name, config in configs.items():
            model.peft_config[name] = _doubled(_in_order(config)) if starts else _in_order(config)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=INVALID_SHAPE)
            state = _differences(model, starts) if starts else None
            model.save_pretrained(
                str(folder), save_embedding_layers=False, state_dict=state
            )  # an adapted embedding stands in the base
    finally:
        model.peft_config.update(configs)


def _in_order(config: "PeftConfig") -> "PeftConfig":
    """Return a copy without sets, which PEFT would write in the order of this process's hashes."""
    ordered = copy.copy(config)
    for name, value in vars(config).items():
        if isinstance(value, set):
            setattr(ordered, name, sorted(value))
    return ordered


def _doubled(config: Any) -> Any:
    """Return the config of a plain LoRA of twice the rank, each layer scaled as before."""
    factor = math.sqrt(2) if config.use_rslora else 2
    config.init_lora_weights = True
    config.r, config.lora_alpha = 2 * config.r, factor * config.lora_alpha
    config.rank_pattern = {name: 2 * rank for name, rank in config.rank_pattern.items()}
    config.alpha_pattern = {name: factor * alpha for name, alpha in config.alpha_pattern.items()}
    return config


def _differences(
    model: "PeftModel", starts: "Mapping[str, tuple[torch.Tensor, torch.Tensor]]"
) -> "dict[str, torch.Tensor]":
    """Return the model's state with [A; A0] and [B, -B0] in place of A and B."""
    import torch

    state: dict[str, torch.Tensor] = model.state_dict()
    for name, (a, b) in starts.items():
        at_a, at_b = (f"{name}.{part}.{_ADAPTER}.weight" for part in ("lora_A", "lora_B"))
        state[at_a] = torch.cat([state[at_a], a.to(state[at_a])], dim=0)
        state[at_b] = torch.cat([state[at_b], -b.to(state[at_b])], dim=1)
    return state

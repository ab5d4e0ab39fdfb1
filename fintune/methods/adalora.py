"""AdaLoRA's work at every step: importance of singular values, the budget that falls, the loss that keeps P and Q orthogonal.

The formulas are PEFT's; this file says when each is called, and what a resume must keep (Zhang et al. 2023, arXiv:2303.10512, algorithm 1).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fintune.methods.protocol import Steps

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

NOT_YET = 1_000_000_000
"""Steps, until a training says how many it has"""
_ADAPTER = "default"
_SHARES = "_fintune_shares"
_MOMENTS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def remember_shares(model: "PeftModel", warmup: float, final: float) -> None:
    """Keep the shares of the steps before and after the budget falls."""
    setattr(model, _SHARES, (warmup, final))


def _tuner(model: "PeftModel") -> Any:
    """Return PEFT's AdaLoraModel."""
    return model.base_model


def _config(model: "PeftModel") -> Any:
    """Return the settings of the adapter, an AdaLoraConfig."""
    return model.peft_config[_ADAPTER]


def _begin(model: "PeftModel", steps: int) -> None:
    config, (warmup, final) = _config(model), getattr(model, _SHARES)
    config.total_step, config.tinit, config.tfinal = steps, int(warmup * steps), int(final * steps)
    _tuner(model).rankallocator.set_total_step(steps)


def _penalty(model: "PeftModel") -> "torch.Tensor":
    """Return the mean over P and Q of |P P' - I| (Frobenius), weighed: equation 4."""
    import torch

    parts = []
    for name, p in model.named_parameters():
        if f"lora_A.{_ADAPTER}" in name or f"lora_B.{_ADAPTER}" in name:
            square = p @ p.T if "lora_A" in name else p.T @ p
            parts.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=p.device)))
    penalty: torch.Tensor = _config(model).orth_reg_weight * torch.stack(parts).mean()
    return penalty


def _stepped(model: "PeftModel", step: int) -> None:
    _tuner(model).update_and_allocate(step)


def _state(model: "PeftModel") -> "dict[str, torch.Tensor]":
    """Return the moments of the importance; ranks that have been dropped are in the parameters, and as masks here."""
    import torch

    allocator, config = _tuner(model).rankallocator, _config(model)
    moments = {f"{kind}|{name}": t for kind in _MOMENTS for name, t in getattr(allocator, kind).items()}
    pattern = config.rank_pattern or {}
    return moments | {f"rank_pattern|{name}": torch.tensor(kept) for name, kept in pattern.items()}


def _restore(model: "PeftModel", saved: "Mapping[str, torch.Tensor]") -> None:
    allocator, config = _tuner(model).rankallocator, _config(model)
    pattern = {}
    for key, tensor in saved.items():
        kind, _, name = key.partition("|")
        if kind == "rank_pattern":
            pattern[name] = tensor.tolist()
        else:
            getattr(allocator, kind)[name] = tensor
    config.rank_pattern = pattern


ADALORA_STEPS = Steps(begin=_begin, penalty=_penalty, stepped=_stepped, state=_state, restore=_restore)

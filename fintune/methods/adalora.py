"""AdaLoRA's work at every step: importance of singular values, the budget that falls, the loss that keeps P and Q orthogonal.

The formulas are PEFT's; here is when they are called, and what of them a resume needs (Zhang et al. 2023, arXiv:2303.10512, algorithm 1).
"""

from typing import Any

from fintune.methods.protocol import Steps

NOT_YET = 1_000_000_000
"""steps, until a training says how many it has"""
_ADAPTER = "default"
_SHARES = "_fintune_shares"
_MOMENTS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def remember_shares(model: Any, warmup: float, final: float) -> None:
    """Shares of the steps before and after the budget falls."""
    setattr(model, _SHARES, (warmup, final))


def _begin(model: Any, steps: int) -> None:
    config, (warmup, final) = model.peft_config[_ADAPTER], getattr(model, _SHARES)
    config.total_step, config.tinit, config.tfinal = steps, int(warmup * steps), int(final * steps)
    model.base_model.rankallocator.set_total_step(steps)


def _penalty(model: Any) -> Any:
    """Mean over P and Q of |P P' - I| (Frobenius), weighed: equation 4."""
    import torch

    parts = []
    for name, p in model.named_parameters():
        if f"lora_A.{_ADAPTER}" in name or f"lora_B.{_ADAPTER}" in name:
            square = p @ p.T if "lora_A" in name else p.T @ p
            parts.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=p.device)))
    return model.peft_config[_ADAPTER].orth_reg_weight * torch.stack(parts).mean()


def _stepped(model: Any, step: int) -> None:
    model.base_model.update_and_allocate(step)


def _state(model: Any) -> dict[str, Any]:
    """Moments of the importance; ranks that have been dropped are in the parameters, and as masks here."""
    import torch

    allocator, config = model.base_model.rankallocator, model.peft_config[_ADAPTER]
    found = {f"{kind}|{name}": t for kind in _MOMENTS for name, t in getattr(allocator, kind).items()}
    pattern = config.rank_pattern or {}
    return found | {f"rank_pattern|{name}": torch.tensor(kept) for name, kept in pattern.items()}


def _restore(model: Any, saved: dict[str, Any]) -> None:
    allocator, config = model.base_model.rankallocator, model.peft_config[_ADAPTER]
    pattern = {}
    for key, tensor in saved.items():
        kind, _, name = key.partition("|")
        if kind == "rank_pattern":
            pattern[name] = tensor.tolist()
        else:
            getattr(allocator, kind)[name] = tensor
    config.rank_pattern = pattern


STEPS = Steps(begin=_begin, penalty=_penalty, stepped=_stepped, state=_state, restore=_restore)

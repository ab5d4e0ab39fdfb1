"""Names in LoRA's settings that fit no layer, and combinations PEFT takes without doing what they say: refused before training."""

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fintune.errors import ModelError
from fintune.methods.lora.options import LoraOptions

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn

_FROM_DIFFERENCES = ("lora_ga", "corda", "pissa_niter")
"""Starts whose adapter is written as the difference to the start, of linear layers alone"""
_NUMBER = re.compile(r"\.(\d+)\.")


def need_names(model: "nn.Module", options: LoraOptions) -> None:
    """Refuse a name, regex or block number that no layer of the model answers to. Raises ModelError."""
    names = [name for name, _ in model.named_modules() if name]
    for setting in ("target_modules", "exclude_modules", "modules_to_save"):
        chosen: str | list[str] = getattr(options, setting)
        if isinstance(chosen, str):
            if chosen != "auto" and not any(re.fullmatch(chosen, name) for name in names):
                raise _unknown(model, setting, f"no layer's whole name fits {chosen!r}")
            continue
        for one in chosen:
            if not any(name == one or name.endswith(f".{one}") for name in names):
                raise _unknown(model, setting, f"no layer is called '{one}'", one)
    for setting in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(options, setting):
            if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in names):
                raise _unknown(model, setting, f"no layer's name ends in {pattern!r}", pattern)
    _need_numbers(options, names)
    _need_biases(model, options)
    twice = set(options.target_modules if isinstance(options.target_modules, list) else ()) & set(
        options.modules_to_save
    )
    if twice:
        raise ModelError(
            f"method.modules_to_save: {min(twice)} is in target_modules too, and would train in full alone",
            hint="Leave one of the two out.",
        )


def _unknown(model: "nn.Module", setting: str, problem: str, near: str = "") -> ModelError:
    """Make the error for a name that fits no layer; it offers only names that would work."""
    fit = _can_be_saved if setting == "modules_to_save" else _can_be_adapted
    names = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if name and fit(module)})
    close = difflib.get_close_matches(near, names, n=1) if near else []
    meant = f"Did you mean '{close[0]}'? " if close else ""
    rule = "" if near else "A regex must fit a layer's whole name, such as '.*q_proj'. "
    return ModelError(f"method.{setting}: {problem}", hint=f"{meant}{rule}Layers of this model: {', '.join(names)}.")


def _can_be_adapted(module: "nn.Module") -> bool:
    """Whether a matrix is the layer's own: linear layers, GPT-2's among them, and embeddings."""
    return any(name == "weight" and weight.ndim == 2 for name, weight in module.named_parameters(recurse=False))


def _can_be_saved(module: "nn.Module") -> bool:
    return any(True for _ in module.named_parameters(recurse=False))


def _need_numbers(options: LoraOptions, names: Sequence[str]) -> None:
    numbers = {int(match[1]) for name in names if (match := _NUMBER.search(name))}
    if missing := sorted(set(options.numbers) - numbers):
        raise ModelError(
            f"method.layers: no block {missing[0]}", hint=f"The model has blocks 0 to {max(numbers, default=0)}."
        )


def _need_biases(model: "nn.Module", options: LoraOptions) -> None:
    if options.bias != "none" and not any(name.endswith("bias") for name, _ in model.named_parameters()):
        raise ModelError(f"method.bias: {options.bias}, and this model has no biases", hint="Use bias: none.")


def need_whole(tuned: "PeftModel", options: LoraOptions) -> None:
    """Refuse what PEFT has attached in part: a copy that nothing reads, an embedding that cannot be saved."""
    from peft.tuners.lora import Embedding
    from peft.utils.other import ModulesToSaveWrapper

    modules = dict(tuned.named_modules())
    for setting, kind in (("modules_to_save", ModulesToSaveWrapper), ("target_modules", Embedding)):
        if any(name.endswith(".shared") and isinstance(module, kind) for name, module in modules.items()):
            raise ModelError(
                f"method.{setting}: encoder and decoder read their own embed_tokens, and what shared learns would stand unread",
                hint="Name embed_tokens instead.",
            )
    _need_chosen_blocks(tuned, options)
    start = str(options.init_lora_weights)
    if start.startswith(_FROM_DIFFERENCES) and any(isinstance(m, Embedding) for m in modules.values()):
        raise ModelError(
            f"method.init_lora_weights: {start} starts linear layers alone, and target_modules names an embedding",
            hint="Leave the embedding out of method.target_modules, or use another start.",
        )


def _need_chosen_blocks(tuned: "PeftModel", options: LoraOptions) -> None:
    """Refuse an adapter that stands in other blocks than were chosen (PEFT reads the regex of a mixture of experts otherwise)."""
    from fintune.models.blocks import blocks

    if options.top is None:
        return
    lower = list(blocks(tuned))[: -options.top]
    if any("lora_" in name for layer in lower for name, _ in layer.named_parameters()):
        raise ModelError(
            f"method.layers: top:{options.top}, and PEFT adapts other blocks of this model too",
            hint="Use layers: all, or name the layers in method.target_modules with method.layers as numbers.",
        )

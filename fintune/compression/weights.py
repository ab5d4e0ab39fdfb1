"""Embedding, head and the ids in a config, cut to the kept tokens."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fintune.models.blocks import input_embedding

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

_ID = "token_id"


def cut(model: "PreTrainedModel", rows: Sequence[int], ids: Mapping[int, int]) -> None:
    """Keep these rows of every table of the vocabulary, in this order, and renumber the ids the configs name."""
    import torch

    chosen = torch.tensor(list(rows), device=model.device)
    whole = input_embedding(model).weight.shape[0]
    done: dict[int, torch.nn.Parameter] = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if (
            isinstance(module, torch.nn.Embedding | torch.nn.Linear)
            and weight is not None
            and _is_table(module, whole, model)
        ):
            if id(weight) not in done:
                done[id(weight)] = torch.nn.Parameter(weight.data[chosen].clone(), requires_grad=False)
            module.weight = done[id(weight)]
            _resize(module, len(rows), chosen)
    for name, buffer in list(model.named_buffers()):
        if name.endswith("final_logits_bias"):
            model.final_logits_bias = buffer[:, chosen].clone()
    _renumber(model, len(rows), ids)


def _is_table(module: "nn.Module", whole: int, model: "PreTrainedModel") -> bool:
    """Tell an embedding of the whole vocabulary, or the head."""
    return module is model.get_output_embeddings() or getattr(module, "num_embeddings", None) == whole


def _resize(module: "nn.Embedding | nn.Linear", rows: int, chosen: "torch.Tensor") -> None:
    import torch

    if isinstance(module, torch.nn.Embedding):
        module.num_embeddings, module.padding_idx = rows, None
        return
    module.out_features = rows
    if module.bias is not None:
        module.bias = torch.nn.Parameter(module.bias.data[chosen].clone(), requires_grad=False)


def _renumber(model: "PreTrainedModel", size: int, ids: Mapping[int, int]) -> None:
    """Set vocab_size and all `..._token_id` of the model's configs; an id whose token has gone is set to None."""
    configs = [model.config, *_parts(model.config), getattr(model, "generation_config", None)]
    for config in {id(c): c for c in configs if c is not None}.values():
        if "vocab_size" in config.to_dict():
            config.vocab_size = size
        for name, value in config.to_dict().items():
            if (name.endswith((_ID, f"{_ID}s")) or name == "eoi_token_index") and value is not None:
                new = [ids[i] for i in value if i in ids] if isinstance(value, list) else ids.get(value)
                setattr(config, name, new)


def _parts(config: "PreTrainedConfig") -> "list[PreTrainedConfig]":
    """Collect the configs inside a config."""
    from transformers import PreTrainedConfig

    inside = [value for value in vars(config).values() if isinstance(value, PreTrainedConfig)]
    return [part for value in inside for part in [value, *_parts(value)]]

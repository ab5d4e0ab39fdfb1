"""What .gguf calls a model's tensors, and how some of them are laid out there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fintune.models.families import FAMILIES
from fintune.models.formats.llama import halves, pairs

if TYPE_CHECKING:
    import torch
    from gguf import TensorNameMap
    from transformers import PreTrainedConfig, PreTrainedModel


Turn: TypeAlias = "Callable[[str, torch.Tensor, PreTrainedConfig], torch.Tensor]"
"""`(name, tensor, config)` of a tensor -> the tensor as it is laid out there."""


def _as_it_is(name: str, tensor: "torch.Tensor", config: "PreTrainedConfig") -> "torch.Tensor":
    return tensor


def _pairs(name: str, tensor: "torch.Tensor", config: "PreTrainedConfig") -> "torch.Tensor":
    """Return the rows of queries and keys as Meta has them (llama.py)."""
    heads = _turned_heads(name, config)
    return tensor if heads is None else pairs(tensor, heads)


def _halves(name: str, tensor: "torch.Tensor", config: "PreTrainedConfig") -> "torch.Tensor":
    """Undo `_pairs`."""
    heads = _turned_heads(name, config)
    return tensor if heads is None else halves(tensor, heads)


def _turned_heads(name: str, config: "PreTrainedConfig") -> int | None:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    return next((count for part, count in heads.items() if f".{part}." in name), None)


def _one_more(name: str, tensor: "torch.Tensor", config: "PreTrainedConfig") -> "torch.Tensor":
    """Add what Gemma's norms do: they multiply by 1 + weight, llama.cpp's by the weight."""
    return tensor + 1 if name.endswith("norm.weight") else tensor


@dataclass(frozen=True)
class Architecture:
    """How llama.cpp calls a family and what differs there."""

    name: str
    turn: Turn = _as_it_is
    back: Turn = _as_it_is
    """Undoes `turn`, of matrices."""
    left_out: tuple[str, ...] = ()
    """Tensors that are copies of others."""
    in_full: str = "norm"
    """Part of the names of tensors that stay in float32, beside every vector"""


_KNOWN = (
    Architecture("llama", _pairs, _halves),
    Architecture("qwen2"),
    Architecture("qwen3"),
    Architecture("gemma3", _one_more),
    Architecture(
        "t5",
        left_out=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
        in_full=r"rel_b|ffn_down",  # what goes into ffn_down passes float16's range; llama.cpp rounds it as the weight
    ),
)
_BY_NAME = {architecture.name: architecture for architecture in _KNOWN}
ARCHITECTURES: Mapping[str, Architecture] = {
    family.model_type: _BY_NAME[family.gguf] for family in FAMILIES if family.gguf
}
"""Architectures by config.model_type, of the families that have one."""


def names_of(model: "PreTrainedModel", architecture: Architecture) -> "TensorNameMap":
    """Return gguf's map from transformers' names to llama.cpp's."""
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    numbers = {name: number for number, name in MODEL_ARCH_NAMES.items()}
    blocks = max(getattr(model.config, name, 0) for name in ("num_hidden_layers", "num_layers", "num_decoder_layers"))
    return get_tensor_name_map(MODEL_ARCH(numbers[architecture.name]), blocks)

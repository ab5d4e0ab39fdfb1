"""LLaMA as Meta's checkpoints have it and as Hugging Face has it: names, the order of query and key rows, params.json.

Meta turns neighboring pairs of a head's rows, Hugging Face the halves of it (RoFormer, arXiv 2104.09864), so the rows of `wq` and `wk`
stand in another order there.

Example:
    theirs = to_original(model.state_dict(), heads=32, kv_heads=8)
    from_original(theirs, heads=32, kv_heads=8).keys() == model.state_dict().keys()
    # True
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fintune.errors import ModelError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

_LAYER = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WHOLE = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
}
_BACK_LAYER, _BACK_WHOLE = ({theirs: ours for ours, theirs in names.items()} for names in (_LAYER, _WHOLE))
FACTOR = "rope_scale_factor"
"""Our addition to params.json: by what positions are stretched, which Meta's code has as a constant"""
STRETCHED = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""How LLaMA 3.1 and later stretch positions, constants in Meta's code"""
SHARDED_BY = {"wq": 0, "wk": 0, "wv": 0, "wo": 1, "w1": 0, "w2": 1, "w3": 0, "output": 0}
"""The dimension along which model-parallel checkpoints are cut; norms are whole in each"""


def to_original(tensors: "Mapping[str, torch.Tensor]", heads: int, kv_heads: int) -> "dict[str, torch.Tensor]":
    """Turn Hugging Face's names and rows into Meta's."""
    original = {}
    for name, tensor in tensors.items():
        theirs, turned = _theirs(name), _turned(name, heads, kv_heads)
        original[theirs] = tensor if turned is None else pairs(tensor, turned)
    return original


def from_original(tensors: "Mapping[str, torch.Tensor]", heads: int, kv_heads: int) -> "dict[str, torch.Tensor]":
    """Turn Meta's names and rows into Hugging Face's. Raises KeyError for a name that is none of a LLaMA's."""
    named = {}
    for theirs, tensor in tensors.items():
        if theirs.endswith("rope.freqs"):  # LLaMA 1 keeps what is computed, its 7B in every block
            continue
        name = _ours(theirs)
        turned = _turned(name, heads, kv_heads)
        named[name] = tensor if turned is None else halves(tensor, turned)
    return named


def _theirs(name: str) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    _, _, number, inner = name.removesuffix(".weight").split(".", maxsplit=3)  # model.layers.3.mlp.up_proj
    return f"layers.{number}.{_LAYER[inner]}.weight"


def _ours(theirs: str) -> str:
    if theirs in _BACK_WHOLE:
        return _BACK_WHOLE[theirs]
    match = re.fullmatch(r"layers\.(\d+)\.(.+)\.weight", theirs)
    if match is None or match[2] not in _BACK_LAYER:
        raise KeyError(theirs)
    return f"model.layers.{match[1]}.{_BACK_LAYER[match[2]]}.weight"


def _turned(name: str, heads: int, kv_heads: int) -> int | None:
    """Return the heads of a tensor whose rows are turned by positions."""
    return heads if ".q_proj." in name else kv_heads if ".k_proj." in name else None


def pairs(tensor: "torch.Tensor", heads: int) -> "torch.Tensor":
    """Reorder rows `(heads x 2 x half, ...)` as `(heads x half x 2, ...)`."""
    rows, *rest = tensor.shape
    return tensor.view(heads, 2, rows // heads // 2, *rest).transpose(1, 2).reshape(tensor.shape)


def halves(tensor: "torch.Tensor", heads: int) -> "torch.Tensor":
    """Reorder rows `(heads x half x 2, ...)` as `(heads x 2 x half, ...)`."""
    rows, *rest = tensor.shape
    return tensor.view(heads, rows // heads // 2, 2, *rest).transpose(1, 2).reshape(tensor.shape)


def params(config: "PreTrainedConfig") -> dict[str, object]:
    """Return the params.json of a Hugging Face config; `multiple_of` and `ffn_dim_multiplier` give its inner width by Meta's formula.

    Raises ModelError for what Meta's layout has no place for: biases, heads of another width, other stretched positions.
    """
    width, inner, rope = config.hidden_size, config.intermediate_size, config.rope_parameters
    kind = rope.get("rope_type", "default")
    odd = {
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "head_dim": config.head_dim * config.num_attention_heads != width,
        f"rope_type {kind}": kind not in ("default", "llama3"),
    }
    if kind == "llama3":
        odd |= {f"{name} {rope[name]}": rope[name] != value for name, value in STRETCHED.items()}
    if missing := [name for name, differs in odd.items() if differs]:
        raise ModelError(f"--format state-dict: Meta's layout has no {missing[0]}", hint="Use --format merged.")
    stretched = {"use_scaled_rope": True, FACTOR: rope["factor"]} if kind == "llama3" else {}
    return stretched | {
        "dim": width,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "vocab_size": config.vocab_size,
        "multiple_of": inner,
        "ffn_dim_multiplier": min(1.0, inner / (8 * width / 3)) * 0.99,
        "norm_eps": config.rms_norm_eps,
        "rope_theta": rope["rope_theta"],
    }

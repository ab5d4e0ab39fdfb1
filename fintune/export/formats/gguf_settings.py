"""What llama.cpp has to be told of a model beside its tensors, and the models it would run otherwise: those are refused.

Example:
    settings("qwen2", config)["qwen2.block_count"]
    # 24
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fintune.errors import ModelError
from fintune.models.families import beyond_gemma3
from fintune.models.gguf_file import METADATA_KEYS, factors, gemma3_scale, rope_of, rope_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig

Value = int | float | str
"""A value in a .gguf; each is one of its types."""


def settings(architecture: str, config: "PreTrainedConfig") -> dict[str, Value]:
    """Return keys and values by general.architecture."""
    values = {key: getattr(config, name, None) for name, key in METADATA_KEYS[architecture].items()}
    values |= _of_t5(config) if architecture == "t5" else _of_a_decoder(architecture, config)
    return {f"{architecture}.{key}": value for key, value in values.items()} | {
        f"{architecture}.vocab_size": config.vocab_size
    }


def need_runnable(architecture: str, config: "PreTrainedConfig") -> None:
    """Raise ModelError for a model llama.cpp's graph of that name does not compute."""
    if reason := next(_t5s(config) if architecture == "t5" else _decoders(architecture, config), None):
        raise ModelError(f"--format gguf: {reason}", hint="Use --format merged.")


def stretched(config: "PreTrainedConfig") -> "NDArray[np.float32] | None":
    """Return factors of the frequencies, where positions are stretched as LLaMA 3.1's; else None."""
    if not getattr(config, "rope_parameters", None) or rope_type(config) != "llama3":
        return None
    return factors(rope_of(config), _head(config))


def _head(config: "PreTrainedConfig") -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _of_a_decoder(architecture: str, config: "PreTrainedConfig") -> dict[str, Value]:
    rope, head = rope_of(config), _head(config)
    values: dict[str, Value] = {
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.freq_base": float(rope["rope_theta"]),
    }
    if rope_type(config) == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    if architecture == "llama":
        values["rope.dimension_count"] = head
    if architecture == "gemma3":
        values["rope.freq_base_swa"] = float(config.rope_parameters.get("sliding_attention", rope)["rope_theta"])
    return values


def _of_t5(config: "PreTrainedConfig") -> dict[str, Value]:
    return {
        "context_length": 512,
        "attention.value_length": config.d_kv,
        "attention.layer_norm_epsilon": config.layer_norm_epsilon,
    }


def _decoders(architecture: str, config: "PreTrainedConfig") -> Iterator[str]:
    rope = rope_type(config)
    if rope != "default" and not (rope == "linear" or (rope == "llama3" and architecture == "llama")):
        yield f"positions of type {rope} are not written for {architecture}"
    windows = [i for i, kind in enumerate(getattr(config, "layer_types", None) or ()) if kind == "sliding_attention"]
    if architecture != "gemma3":
        if windows:
            yield f"llama.cpp's {architecture} has no windows"
        return
    every_sixth = [i for i in range(config.num_hidden_layers) if i % 6 != 5]
    if windows != every_sixth or config.query_pre_attn_scalar != gemma3_scale(vars(config)) or beyond_gemma3(config):
        yield "llama.cpp knows Gemma 3 with full attention in every sixth block and scores scaled as its published sizes have it"


def _t5s(config: "PreTrainedConfig") -> Iterator[str]:
    gelu = config.is_gated_act and config.dense_act_fn == "gelu_new"
    if not gelu or getattr(config, "scale_decoder_outputs", False):
        yield "llama.cpp knows T5s with a gated GELU and a head that scales nothing: not the first ones"
    if config.relative_attention_max_distance != 128:
        yield f"llama.cpp's T5 tells distances up to 128 apart, not {config.relative_attention_max_distance}"

"""A tiny random model of each family that users bring, two blocks each, with the byte tokenizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fintune.models.encoder_decoder import convert_encoder_decoder
from tests.tiny import byte_tokenizer

_TOKENS = {"vocab_size": 259, "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258}
_BLOCKS = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
_HEADS = {"num_key_value_heads": 1, "max_position_embeddings": 256, "initializer_range": 0.1}
_CAUSAL = _TOKENS | _BLOCKS | _HEADS
_T5 = {
    "d_model": 32,
    "d_kv": 16,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 256,
}
_BART = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 256, "dropout": 0.0, "init_std": 0.1,
    "decoder_start_token_id": 258, "forced_eos_token_id": None,
}  # fmt: skip

_WINDOWED = {
    "head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
}  # fmt: skip
"""texts are longer than the window, so padding lies beyond it"""

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", _CAUSAL),
    "qwen2": ("Qwen2ForCausalLM", _CAUSAL),
    "qwen3": ("Qwen3ForCausalLM", _CAUSAL | {"head_dim": 16}),
    "gemma": ("GemmaForCausalLM", _CAUSAL | {"head_dim": 16}),
    "gemma3": ("Gemma3ForCausalLM", _CAUSAL | {"head_dim": 16, "query_pre_attn_scalar": 16}),
    "mistral": ("MistralForCausalLM", _CAUSAL),
    "glm": ("GlmForCausalLM", _CAUSAL | {"head_dim": 16}),
    "phi": ("PhiForCausalLM", _CAUSAL | {"num_key_value_heads": 2, "partial_rotary_factor": 0.5}),
    "bloom": ("BloomForCausalLM", _TOKENS | {"hidden_size": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.1}),
    "gpt2": ("GPT2LMHeadModel", _TOKENS | {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, "initializer_range": 0.1}),
    "t5": ("T5ForConditionalGeneration", _TOKENS | _T5),
    "flan-t5": ("T5ForConditionalGeneration", _TOKENS | _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5ForConditionalGeneration", _TOKENS | _T5),
    "bart": ("BartForConditionalGeneration", _TOKENS | _BART),
    "mbart": ("MBartForConditionalGeneration", _TOKENS | _BART),
    "t5gemma2": ("Gemma3ForCausalLM", _CAUSAL | _WINDOWED),
}  # fmt: skip


def save(family: str, folder: Path, **sizes: int) -> Path:
    """Write the family's tiny model to a folder; `sizes` replace some of its settings."""
    import torch
    import transformers

    name, settings = FAMILIES[family]
    architecture: Callable[..., Any] = getattr(transformers, name)
    torch.manual_seed(0)
    architecture(architecture.config_class(**settings | sizes)).save_pretrained(folder)  # type: ignore[attr-defined]
    byte_tokenizer().save_pretrained(folder)
    if family != "t5gemma2":
        return folder
    convert_encoder_decoder(folder, folder / "made")  # as embedded-seq2seq is
    return folder / "made"

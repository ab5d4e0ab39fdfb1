"""An encoder-decoder made of a decoder-only model: T5Gemma 2 whose encoder and decoder both start as Gemma 3's blocks.

Encoder-Decoder Gemma (arXiv 2504.06225) adapts decoder-only weights this way: every tensor is copied twice, and nothing is
new, as T5Gemma 2's decoder attends to itself and to the encoder with the same weights. Training must do the rest.

Example:
    convert_encoder_decoder(embedded_folder("embedded"), Path("gemma-3-270m-seq2seq"))
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.runtime.progress import tell

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, T5Gemma2Config

_PARTS = ("model.encoder.text_model", "model.decoder")
_RENAMED = {
    "input_layernorm": "pre_self_attn_layernorm",
    "post_attention_layernorm": "post_self_attn_layernorm",
}
_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.out_proj.weight"
_NOT_TEXT = ("model.encoder.vision_tower.", "model.encoder.multi_modal_projector.")
_NO_TOKEN = -1
"""Id of the end of an image: Gemma 3's 256000 would be read as a vector of its own, without the embedding's scale"""
_VISION = {
    "model_type": "siglip_vision_model", "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
    "num_attention_heads": 1, "image_size": 4, "patch_size": 4,
}  # fmt: skip
"""T5Gemma 2 cannot be without a vision tower: left out it is one of 12 layers, taken off it comes back at random"""


def convert_encoder_decoder(source: Path, target: Path) -> None:
    """Write the encoder-decoder of a Gemma 3 folder, with its tokenizer. Raises ModelError when its tensors do not fit."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoTokenizer

    tell("model", "building, step 1 of 2: encoder and decoder")
    config = AutoConfig.from_pretrained(source, local_files_only=True)
    model = encoder_decoder(config, load_file(source / "model.safetensors"))
    tell("model", "building, step 2 of 2: writing")
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(target)


def encoder_decoder(config: "PreTrainedConfig", weights: "Mapping[str, torch.Tensor]") -> "PreTrainedModel":
    """Return a T5Gemma2ForConditionalGeneration of a Gemma 3 text config and its tensors; the same bytes each time."""
    import torch
    from transformers import T5Gemma2ForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the vision tower, which nothing reads, stays as it is drawn
        model = T5Gemma2ForConditionalGeneration(t5gemma2_config(config))
    _need_fitting(weights, set(model.state_dict()))
    copies = {name: tensor for source, tensor in weights.items() for name in target_names(source)}
    model.load_state_dict(copies, strict=False)
    return model


def t5gemma2_config(source: "PreTrainedConfig") -> "T5Gemma2Config":
    """Return the config under which copied Gemma 3 blocks compute what they did: every setting of a block is the source's."""
    from transformers import T5Gemma2Config, T5Gemma2TextConfig

    text = {name: getattr(source, name) for name in T5Gemma2TextConfig.__annotations__}
    shared = ("pad_token_id", "bos_token_id", "eos_token_id", "attention_dropout", "initializer_range")
    top: dict[str, Any] = {name: text[name] for name in shared} | {"decoder_start_token_id": source.bos_token_id}
    return T5Gemma2Config(
        encoder={
            "text_config": copy.deepcopy(text),
            "vision_config": dict(_VISION),
            "mm_tokens_per_image": 1,
            "eoi_token_index": _NO_TOKEN,
        },
        decoder=copy.deepcopy(text),
        **top,
    )


def target_names(source: str) -> list[str]:
    """Where a Gemma 3 tensor goes: into the encoder, the decoder and, the embedding, into the head."""
    inner = ".".join(_RENAMED.get(part, part) for part in source.removeprefix("model.").split("."))
    return [f"{part}.{inner}" for part in _PARTS] + ([_HEAD] if source == _EMBEDDING else [])


def _need_fitting(weights: "Mapping[str, torch.Tensor]", own: set[str]) -> None:
    """Refuse a source with tensors that have no place, or without one that a text part would then draw at random."""
    targets = {source: target_names(source) for source in weights}
    unknown = sorted(source for source, places in targets.items() if not own.issuperset(places))
    copied = {name for places in targets.values() for name in places}
    zero = {f"{part}.embed_tokens.eoi_embedding" for part in _PARTS}
    lacking = sorted(name for name in own - copied - zero if not name.startswith(_NOT_TEXT))
    for what, names in (("has no place in T5Gemma 2", unknown), ("gets no weights", lacking)):
        if names:
            raise ModelError(
                f"cannot make an encoder-decoder: {names[0]} {what}"
                + (f", nor {len(names) - 1} more" if len(names) > 1 else ""),
                hint="Only a text-only Gemma 3 with tied embeddings can be made into one.",
            )

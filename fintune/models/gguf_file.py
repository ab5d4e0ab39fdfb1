"""A .gguf file as a model for torch: transformers reads tensors and tokens; settings it leaves out, or takes for others, are read here.

Example:
    model, tokenizer = read_gguf(Path("model.gguf"))
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fintune.errors import ModelError
from fintune.models.gguf_header import need_blocks, need_whole
from fintune.runtime.turns import loading

if TYPE_CHECKING:
    from gguf import GGUFReader
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_DECODER = {
    "max_position_embeddings": "context_length",
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
METADATA_KEYS: Mapping[str, Mapping[str, str]] = {
    "llama": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "gemma3": _DECODER | {"sliding_window": "attention.sliding_window"},
    "t5": {
        "d_model": "embedding_length",
        "d_kv": "attention.key_length",
        "d_ff": "feed_forward_length",
        "num_layers": "block_count",
        "num_decoder_layers": "decoder_block_count",
        "num_heads": "attention.head_count",
        "layer_norm_epsilon": "attention.layer_norm_rms_epsilon",
        "relative_attention_num_buckets": "attention.relative_buckets_count",
        "decoder_start_token_id": "decoder_start_token_id",
    },
}
"""Settings of transformers and the keys llama.cpp has for them, by general.architecture."""
FACTORS = "rope_freqs.weight"
"""Tensor of what each frequency of the positions is divided by."""
WHOLE_WORDS = ("llama3", "llama-v3", "llama-bpe", "tekken")
"""Values of tokenizer.ggml.pre behind which llama.cpp looks a whole word up before it merges pieces"""


@loading()
def read_gguf(file: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Read a model in float32, and its tokenizer, from the file alone. Raises ModelError for positions that cannot be told from it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    from fintune.runtime.progress import tell

    need_whole(file)
    with parsed_once() as parse:
        tell("model", "reading .gguf, step 1 of 2: tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        reader = parse(file)
        config = config_of(reader, file)
        if config.is_encoder_decoder:
            _normalize(tokenizer, reader)
        elif (split := reader.fields.get("tokenizer.ggml.pre")) and split.contents() in WHOLE_WORDS:
            tokenizer.backend_tokenizer.model.ignore_merges = True
        tell("model", "reading .gguf, step 2 of 2: weights")
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        with _without_bar():
            model: PreTrainedModel = auto.from_pretrained(
                file.parent, gguf_file=file.name, config=config, dtype=torch.float32
            )
    for mark in ("hf_quantizer", "quantization_method", "is_quantized"):  # save_pretrained refuses what bears them
        delattr(model, mark)
    del model.config.quantization_config
    model.config._name_or_path = file.stem
    return model.eval(), tokenizer


@contextmanager
def parsed_once() -> "Iterator[Callable[[str | Path], GGUFReader]]":
    """Parse a file at most once inside the block: transformers' reader goes through all tokens for config, tokenizer and weights."""
    from fintune.models.gguf_reader import ArrayReader

    package: Any = import_module("gguf")
    with loading():  # the reader of transformers is exchanged for a while, for all threads
        parse = package.GGUFReader
        package.GGUFReader = once = _remembering(ArrayReader)
        try:
            yield once
        finally:
            package.GGUFReader = parse


def _remembering(reader: "type[GGUFReader]") -> "Callable[[str | Path], GGUFReader]":
    kept = cache(reader)
    return lambda path: kept(os.path.realpath(path))


@contextmanager
def _without_bar() -> Iterator[None]:
    """Keep the reader from drawing a bar: it does on every stream, whatever transformers' switch for them says."""
    module: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    drawn = module.tqdm
    module.tqdm = partial(drawn, disable=True)
    try:
        yield
    finally:
        module.tqdm = drawn


def config_of(reader: "GGUFReader", file: Path) -> "PreTrainedConfig":
    """Return what the file says as a config of transformers. Raises ModelError."""
    from transformers import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    metadata = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("tokenizer.")}
    architecture = metadata["general.architecture"]
    keys = {name: f"{architecture}.{key}" for name, key in METADATA_KEYS.get(architecture, {}).items()}
    known = {name: metadata[key] for name, key in keys.items() if key in metadata}
    need_blocks(file, known, len(reader.tensors))
    if architecture == "t5":
        known |= {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "dense_act_fn": "gelu_new"}
        known |= {"scale_decoder_outputs": False} | {
            "num_decoder_layers": known.get("num_decoder_layers", known["num_layers"])
        }
    elif keys:
        known.setdefault("head_dim", known["hidden_size"] // known["num_attention_heads"])
        known |= {"query_pre_attn_scalar": gemma3_scale(known)} if architecture == "gemma3" else {}
    for name, value in known.items():
        setattr(config, name, value)
    _set_positions(config, metadata, reader, file)
    return config


def factors(rope: Mapping[str, float], head: int) -> "NDArray[np.float32]":
    """Return what each pair's frequency is divided by (LLaMA 3.1; github meta-llama/llama-models, apply_scaling); (head / 2,)."""
    waves = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, head, 2) / head)
    low, high, old = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    smooth = np.clip((old / waves - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / rope["factor"] + smooth), dtype=np.float32)


def _settings_of(held: "NDArray[np.float32]", theta: float) -> dict[str, float]:
    """Undo the factors: smooth is a line over 1 / wave length. All lengths but their ratio are free: the lower factor is 1."""
    waves = 2 * np.pi * theta ** (np.arange(len(held)) / len(held))
    most = float(held.max())
    smooth = (1 / held - 1 / most) / (1 - 1 / most)
    between = (smooth > 1e-3) & (smooth < 1 - 1e-3)
    slope, start = np.polyfit(1 / waves[between], smooth[between], 1) if between.sum() > 1 else (1.0, -1.0)
    high = round(float(1 - 1 / start), 4)
    old = round(float(slope * (high - 1)))
    return {"factor": most, "low_freq_factor": 1.0, "high_freq_factor": high, "original_max_position_embeddings": old}


def gemma3_scale(known: Mapping[str, int]) -> int:
    """Return what llama.cpp takes the root of to divide Gemma 3's scores by: a head's width; in 27B, known by its blocks, width / heads."""
    return (
        known["hidden_size"] // known["num_attention_heads"] if known["num_hidden_layers"] == 62 else known["head_dim"]
    )


def rope_of(config: "PreTrainedConfig") -> dict[str, float]:
    """Return the settings of the positions, numbers but for rope_type; where windows have others, those of full attention."""
    parameters: dict[str, Any] = config.rope_parameters
    full: dict[str, float] = parameters.get("full_attention", parameters)
    return full


def rope_type(config: "PreTrainedConfig") -> str:
    """Return how positions are stretched: default, linear, llama3 ..."""
    return str(rope_of(config).get("rope_type", "default"))


def _set_positions(config: "PreTrainedConfig", metadata: Mapping[str, Any], reader: "GGUFReader", file: Path) -> None:
    """Put in what transformers' reader drops without a word: how positions are stretched, what angles windows have."""
    prefix = f"{metadata['general.architecture']}.rope"
    if window := metadata.get(f"{prefix}.freq_base_swa"):
        config.rope_parameters["sliding_attention"]["rope_theta"] = window
    scaling = metadata.get(f"{prefix}.scaling.type", "none")
    held = next((tensor.data for tensor in reader.tensors if tensor.name == FACTORS), None)
    if (scaling == "none" and held is None) or getattr(config, "rope_parameters", None) is None:
        return
    rope: dict[str, Any] = rope_of(config)
    if scaling == "linear":
        rope |= {"rope_type": "linear", "factor": metadata[f"{prefix}.scaling.factor"]}
        return
    if held is not None and scaling == "none":
        known = _settings_of(held, rope["rope_theta"])
        if np.allclose(factors(rope | known, config.head_dim), held, rtol=1e-4):
            rope |= {"rope_type": "llama3", **known}
            return
    raise ModelError(
        f"{file}: its positions are stretched in a way that cannot be told from the file",
        hint="Use the model's Hugging Face folder.",
    )


def _normalize(tokenizer: "PreTrainedTokenizerBase", reader: "GGUFReader") -> None:
    """Put in what a text is turned into before unigrams are looked up; transformers' reader takes every file for T5's first."""
    from tokenizers import normalizers, pre_tokenizers

    fields = {
        key.rpartition(".")[2]: field for key, field in reader.fields.items() if key.startswith("tokenizer.ggml.")
    }
    backend = tokenizer.backend_tokenizer
    if "precompiled_charsmap" in fields:
        backend.normalizer = normalizers.Precompiled(bytes(fields["precompiled_charsmap"].contents()))
    flags = {
        name: name not in fields or fields[name].contents() for name in ("add_space_prefix", "remove_extra_whitespaces")
    }
    marked = pre_tokenizers.Metaspace("▁", prepend_scheme="always" if flags["add_space_prefix"] else "never")
    words = [pre_tokenizers.WhitespaceSplit()] if flags["remove_extra_whitespaces"] else []
    backend.pre_tokenizer = pre_tokenizers.Sequence([*words, marked])

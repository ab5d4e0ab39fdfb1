"""A merged model as one .gguf file for llama.cpp: tensors under its names, turned as its graphs expect them, settings, tokenizer.

>>> write(merged, Path("folder"), "q8_0")      # folder/model.gguf
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fintune.data.sources import sha256
from fintune.errors import ModelError
from fintune.export import gguf_tokenizer
from fintune.models import LoadedModel
from fintune.models.llama_layout import halves, pairs
from fintune.models.references import loading_errors
from fintune.progress import advance
from fintune.prompts import Kind

if TYPE_CHECKING:
    import torch
    from gguf import GGUFWriter
    from numpy.typing import NDArray

FILE = "model.gguf"
Turn = Callable[[str, "torch.Tensor", Any], "torch.Tensor"]


def _as_it_is(name: str, tensor: "torch.Tensor", config: Any) -> "torch.Tensor":
    return tensor


def _pairs(name: str, tensor: "torch.Tensor", config: Any) -> "torch.Tensor":
    """Rows of queries and keys as Meta has them (llama_layout.py)."""
    found = _turned_heads(name, config)
    return tensor if found is None else pairs(tensor, found)


def _halves(name: str, tensor: "torch.Tensor", config: Any) -> "torch.Tensor":
    """The opposite of _pairs."""
    found = _turned_heads(name, config)
    return tensor if found is None else halves(tensor, found)


def _turned_heads(name: str, config: Any) -> int | None:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    return next((count for part, count in heads.items() if f".{part}." in name), None)


def _one_more(name: str, tensor: "torch.Tensor", config: Any) -> "torch.Tensor":
    """Gemma's norms multiply by 1 + weight, llama.cpp's by the weight."""
    return tensor + 1 if name.endswith("norm.weight") else tensor


@dataclass(frozen=True)
class Architecture:
    """How llama.cpp calls a family and what differs there."""

    name: str
    settings: "Callable[[GGUFWriter, Any], None]"
    turn: Turn = _as_it_is
    back: Turn = _as_it_is
    """the opposite, of matrices"""
    left_out: tuple[str, ...] = ()
    """tensors that are copies of others"""


def _decoder(writer: "GGUFWriter", config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _positions(writer, _rope(config), head)


def _rope(config: Any) -> Any:
    """Settings of the positions; where windows have others, those of full attention."""
    return config.rope_parameters.get("full_attention", config.rope_parameters)


def _positions(writer: "GGUFWriter", rope: Any, head: int) -> None:
    from gguf import RopeScalingType

    kind = rope.get("rope_type", "default")
    writer.add_rope_freq_base(rope["rope_theta"])
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif kind == "llama3":
        writer.add_tensor("rope_freqs.weight", _stretched(rope, head))
    elif kind != "default":
        raise ModelError(f"--format gguf: positions of type {kind} are not written", hint="Use --format merged.")


def _stretched(rope: Any, head: int) -> "NDArray[np.float32]":
    """By what each pair's frequency is divided (LLaMA 3.1; github meta-llama/llama-models, apply_scaling)."""
    waves = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, head, 2) / head)
    low, high, old = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    smooth = np.clip((old / waves - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / rope["factor"] + smooth), dtype=np.float32)


def _llama(writer: "GGUFWriter", config: Any) -> None:
    _decoder(writer, config)
    writer.add_rope_dimension_count(
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )


def _gemma3(writer: "GGUFWriter", config: Any) -> None:
    _decoder(writer, config)
    writer.add_sliding_window(config.sliding_window)
    window = config.rope_parameters.get("sliding_attention", _rope(config))
    writer.add_rope_freq_base_swa(window["rope_theta"])
    every_sixth = ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(config.num_hidden_layers)]
    if list(config.layer_types) != every_sixth or config.query_pre_attn_scalar != config.head_dim:
        raise ModelError(
            "--format gguf: llama.cpp knows Gemma 3 with full attention in every sixth block and scores scaled by head_dim alone",
            hint="Use --format merged.",
        )


def _t5(writer: "GGUFWriter", config: Any) -> None:
    gelu = config.is_gated_act and config.dense_act_fn == "gelu_new"
    if not gelu or getattr(config, "scale_decoder_outputs", False):
        raise ModelError(
            "--format gguf: llama.cpp knows T5s with a gated GELU and a head that scales nothing: not the first ones",
            hint="Use --format merged.",
        )
    writer.add_context_length(512)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_block_count(config.num_layers)
    writer.add_decoder_block_count(config.num_decoder_layers)
    writer.add_head_count(config.num_heads)
    writer.add_key_length(config.d_kv)
    writer.add_value_length(config.d_kv)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_layer_norm_rms_eps(config.layer_norm_epsilon)
    writer.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
    writer.add_decoder_start_token_id(config.decoder_start_token_id)
    writer.add_vocab_size(config.vocab_size)


_T5 = Architecture("t5", _t5, left_out=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"))
ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("llama", _llama, _pairs, _halves),
    "qwen2": Architecture("qwen2", _decoder),
    "qwen3": Architecture("qwen3", _decoder),
    "gemma3_text": Architecture("gemma3", _gemma3, _one_more),
    "t5": _T5,
    "mt5": _T5,
}
"""by config.model_type; T5Gemma 2, among others, is unknown to llama.cpp"""


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Write model.gguf. Raises ModelError for a model llama.cpp would run otherwise."""
    from gguf import GGML_QUANT_VERSION, GGUFWriter

    config = merged.model.config
    architecture = ARCHITECTURES[config.model_type]
    config.save_pretrained(folder)
    writer = GGUFWriter(folder / FILE, architecture.name, use_temp_file=True)
    writer.add_name(Path(merged.reference).name)
    architecture.settings(writer, config)
    writer.add_file_type({"float32": 0, "float16": 1, "q8_0": 7}[dtype])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    if template := getattr(merged.tokenizer, "chat_template", None):
        writer.add_chat_template(template)
    gguf_tokenizer.write(writer, merged.tokenizer, rows=len(merged.model.get_input_embeddings().weight))
    count = len(merged.model.state_dict())
    for number, (name, tensor) in enumerate(_named(merged.model, architecture), start=1):
        _add(writer, name, tensor, dtype)
        advance("write", min(number, count), count)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def names_of(model: Any, architecture: Architecture) -> Any:
    """gguf's map from transformers' names to llama.cpp's."""
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    numbers = {name: number for number, name in MODEL_ARCH_NAMES.items()}
    blocks = max(getattr(model.config, name, 0) for name in ("num_hidden_layers", "num_layers", "num_decoder_layers"))
    return get_tensor_name_map(MODEL_ARCH(numbers[architecture.name]), blocks)


def _named(model: Any, architecture: Architecture) -> "Iterator[tuple[str, torch.Tensor]]":
    """Every tensor under llama.cpp's name; a head that is the embedding is not written twice."""
    names = names_of(model, architecture)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    for name, tensor in model.state_dict().items():
        tied = name == "lm_head.weight" and head.weight is embedding.weight
        if tied or name in architecture.left_out:
            continue
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if theirs is None:
            raise ModelError(
                f"--format gguf: no place for {name} in llama.cpp's {architecture.name}", hint="Use --format merged."
            )
        yield theirs, architecture.turn(name, tensor, model.config)


def _add(writer: "GGUFWriter", name: str, tensor: "torch.Tensor", dtype: str) -> None:
    """Matrices in the wanted precision where their rows allow it; vectors, and what llama.cpp wants so, in float32."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

    whole = tensor.float().contiguous().numpy()
    kind = GGMLQuantizationType.F32
    if tensor.ndim > 1 and "rel_b" not in name:
        kind = {
            "float32": GGMLQuantizationType.F32,
            "float16": GGMLQuantizationType.F16,
            "q8_0": GGMLQuantizationType.Q8_0,
        }[dtype]
        if tensor.shape[-1] % GGML_QUANT_SIZES[kind][0]:
            kind = GGMLQuantizationType.F16
    writer.add_tensor(name, quants.quantize(whole, kind), raw_dtype=kind)


def read(folder: Path) -> LoadedModel:
    """The file as transformers reads it: tensors by its own names and turns, tokens by its own tokenizer; settings from config.json."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    with loading_errors(str(folder)):
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        _need_same(AutoConfig.from_pretrained(folder, gguf_file=FILE), config, folder)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
        model = auto.from_pretrained(folder, gguf_file=FILE, config=_known_there(config), dtype=torch.float32)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    return LoadedModel(model.eval(), tokenizer, kind, str(folder), sha256(folder / FILE))


_SAID = (
    *(
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "rms_norm_eps",
    ),
    *("vocab_size", "sliding_window", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "layer_norm_epsilon"),
)


def _need_same(theirs: Any, ours: Any, folder: Path) -> None:
    """Refuse a file whose settings, as transformers reads them, are not the model's."""
    for name in _SAID:
        there, wanted = getattr(theirs, name, None), getattr(ours, name, None)
        if there is not None and wanted is not None and not np.isclose(there, wanted, rtol=1e-5, atol=0):
            raise ModelError(f"{folder / FILE}: {name} is {there}, should be {wanted}", hint="Please report it.")
    for rope in (_rope(theirs), _rope(ours)) if getattr(ours, "rope_parameters", None) else ():
        if not np.isclose(rope["rope_theta"], _rope(ours)["rope_theta"]):
            raise ModelError(f"{folder / FILE}: rope_theta is {rope['rope_theta']}", hint="Please report it.")


def _known_there(config: Any) -> Any:
    """mT5 is T5 with a gated feed-forward and a head that scales nothing; transformers' reader knows the one name."""
    from transformers import T5Config

    if config.model_type != "mt5":
        return config
    same = T5Config(**config.to_dict() | {"model_type": "t5"})
    same.scale_decoder_outputs = False
    return same

"""LLaMA checkpoints as Meta gives them (consolidated.*.pth, params.json, tokenizer.model) as a Hugging Face folder.

LLaMA 1, 2 and 3, whole or cut into model-parallel parts. Parts are read with torch.load(weights_only=True): tensors, no code.

>>> convert("Llama-2-7b", Path("llama-2-7b-hf"))
"""

import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.models import llama_tokenizer
from fintune.models.llama_layout import SHARDED_BY, from_original
from fintune.progress import advance

if TYPE_CHECKING:
    import torch

PARAMS = "params.json"
_TIED = {(2048, 32): 32.0, (3072, 24): 32.0}
"""(width, heads) of LLaMA 3.2's small models -> by what their positions are stretched; the others of 3.1 and later: 8"""


def is_original(folder: Path) -> bool:
    """Whether a folder holds such a checkpoint."""
    return (folder / PARAMS).is_file() and any(folder.glob("consolidated.*.pth"))


def convert(source: Path, folder: Path) -> None:
    """Write `source` to the new folder. Raises ModelError for a file that is missing, damaged, or no plain tensors."""
    from transformers import GenerationConfig, LlamaForCausalLM

    settings = _params(source / PARAMS)
    tensors = _whole(_parts(source), int(settings["dim"]), source)
    config = _config(settings, tensors)
    try:
        named = from_original(tensors, config.num_attention_heads, config.num_key_value_heads)
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{source}: not LLaMA's layout: {error}", hint="Only LLaMA 1, 2 and 3 are read so.") from None
    if config.tie_word_embeddings:
        del named["lm_head.weight"]
    tokenizer = llama_tokenizer.read(source / "tokenizer.model")
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    model = LlamaForCausalLM.from_pretrained(
        None, config=config, state_dict=named, dtype=next(iter(named.values())).dtype
    )
    generation: Any = GenerationConfig
    model.generation_config = generation(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _params(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
        missing = [key for key in ("dim", "n_layers", "n_heads") if not isinstance(found.get(key), int)]
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", hint="Copy it again.") from None
    if missing:
        raise ModelError(f"{path}: no {missing[0]}", hint="Copy it again.")
    return dict(found)


def _parts(source: Path) -> "list[dict[str, torch.Tensor]]":
    import torch

    paths, parts = sorted(source.glob("consolidated.*.pth")), []
    for number, path in enumerate(paths):
        if path.name != f"consolidated.{number:02d}.pth":
            raise ModelError(
                f"{source}: no consolidated.{number:02d}.pth, though {paths[-1].name} is there", hint="Copy it too."
            )
        try:
            parts.append(torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)))
        except pickle.UnpicklingError:
            raise ModelError(
                f"{path}: holds more than tensors, and is not read", hint="Get it from its makers again."
            ) from None
        except (RuntimeError, EOFError, OSError, ValueError) as error:
            raise ModelError(f"{path}: damaged: {_said(error)}", hint="Copy it again.") from None
        advance("read", number + 1, len(paths))
    return parts


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _whole(parts: "Sequence[Mapping[str, torch.Tensor]]", width: int, source: Path) -> "dict[str, torch.Tensor]":
    """Tensors put together from the parts of a model-parallel checkpoint."""
    import torch

    if len(parts) == 1:
        return dict(parts[0])
    for number, part in enumerate(parts):
        if part.keys() != parts[0].keys():
            raise ModelError(
                f"{source}: consolidated.{number:02d}.pth has other tensors than the first", hint="Copy them again."
            )
    found = {}
    for name, first in parts[0].items():
        along = SHARDED_BY.get(name.removesuffix(".weight").rpartition(".")[2])
        if name == "tok_embeddings.weight":  # LLaMA 3 cuts the vocabulary, those before it the width
            along = 0 if first.shape[1] == width else 1
        found[name] = first if along is None else torch.cat([part[name] for part in parts], dim=along)
    return found


def _config(settings: Mapping[str, Any], tensors: "Mapping[str, torch.Tensor]") -> Any:
    import torch
    from transformers import LlamaConfig

    heads, width = settings["n_heads"], settings["dim"]
    embedding, head = tensors["tok_embeddings.weight"], tensors["output.weight"]
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": float(settings.get("rope_theta", 10_000))}
    positions = 2048 if settings.get("norm_eps") == 1e-6 else 4096 if rope["rope_theta"] == 10_000 else 8192
    if settings.get("use_scaled_rope"):
        positions = 131_072
        rope |= {
            "rope_type": "llama3", "factor": _TIED.get((width, heads), 8.0), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }  # fmt: skip
    return LlamaConfig(
        vocab_size=len(embedding),
        hidden_size=width,
        intermediate_size=len(tensors["layers.0.feed_forward.w1.weight"]),
        num_hidden_layers=settings["n_layers"],
        num_attention_heads=heads,
        num_key_value_heads=settings.get("n_kv_heads") or heads,
        rms_norm_eps=settings.get("norm_eps", 1e-5),
        max_position_embeddings=positions,
        rope_parameters=rope,
        tie_word_embeddings=torch.equal(embedding, head),
    )

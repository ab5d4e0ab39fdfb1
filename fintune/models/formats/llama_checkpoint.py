"""LLaMA checkpoints as Meta gives them (consolidated.*.pth, params.json, tokenizer.model) as a Hugging Face folder.

LLaMA 1, 2 and 3, whole or cut into model-parallel parts. Parts are read with torch.load(weights_only=True): tensors, no code.

Example:
    convert("Llama-2-7b", Path("llama-2-7b-hf"))
"""

import errno
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.models.formats import llama_tokenizer
from fintune.models.formats.llama import FACTOR, SHARDED_BY, STRETCHED, from_original
from fintune.runtime.files import disk_errors
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.progress import advance
from fintune.runtime.untrusted import parse_object, read_text

if TYPE_CHECKING:
    import torch
    from transformers import LlamaConfig

PARAMS = "params.json"
_TIED = {(2048, 32): 32.0, (3072, 24): 32.0}
"""(width, heads) of LLaMA 3.2's small models -> by what their positions are stretched; the others of 3.1 and later: 8"""


def is_original(folder: Path) -> bool:
    """Whether a folder holds such a checkpoint."""
    return (folder / PARAMS).is_file() and any(folder.glob("consolidated.*.pth"))


def convert(source: Path, folder: Path) -> None:
    """Write `source` to the new folder. Raises ModelError for a file that is missing, damaged, or no plain tensors."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import GenerationConfig, LlamaForCausalLM

    settings = _params(source / PARAMS)
    try:
        tensors = _whole(_parts(source), int(settings["dim"]), source)
        config = _config(settings, tensors)
        named = from_original(tensors, heads := config.num_attention_heads, config.num_key_value_heads or heads)
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
    except (LookupError, RuntimeError, ArithmeticError, ValueError, TypeError, StrictDataclassError) as error:
        message = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{source}: not LLaMA's layout: {message}", hint="Only LLaMA 1, 2 and 3 are read so."
        ) from None
    if config.tie_word_embeddings:
        named["lm_head.weight"] = named["model.embed_tokens.weight"]
    _need_all({n: t.shape for n, t in named.items()}, {n: t.shape for n, t in model.state_dict().items()}, source)
    model.load_state_dict(named, assign=True)
    model.tie_weights()
    tokenizer = llama_tokenizer.read(source / "tokenizer.model", stretched=bool(settings.get("use_scaled_rope")))
    if len(tokenizer) != config.vocab_size:
        raise ModelError(
            f"{source}: tokenizer.model has {len(tokenizer):,} tokens, and the weights {config.vocab_size:,}",
            hint="Copy tokenizer.model again; it is each checkpoint's own.",
        )
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    config.dtype = named["model.embed_tokens.weight"].dtype
    generation: Any = GenerationConfig
    model.generation_config = generation(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id)
    with disk_errors(folder):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _need_all(held: "Mapping[str, torch.Size]", wanted: "Mapping[str, torch.Size]", source: Path) -> None:
    """Refuse tensors that params.json does not ask for, and those it asks for in vain."""
    for name in sorted(held.keys() | wanted.keys()):
        if held.get(name) != wanted.get(name):
            shape, right = (tuple(side[name]) if name in side else "absent" for side in (held, wanted))
            raise ModelError(
                f"{source}: {PARAMS} and weights do not fit: {name} is {shape}, should be {right}",
                hint="Copy both again.",
            )


def _params(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = parse_object(read_text(path))
        missing = [key for key in ("dim", "n_layers", "n_heads") if not isinstance(settings.get(key), int)]
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", hint="Copy it again.") from None
    if missing:
        raise ModelError(f"{path}: no {missing[0]}", hint="Copy it again.")
    for key in ("dim", "n_layers", "n_heads", "n_kv_heads", "norm_eps", "rope_theta"):
        value = settings.get(key, 1)
        if key == "n_kv_heads" and value is None:  # as many as heads
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ModelError(f"{path}: {key} is {value!r}, should be a number above 0", hint="Copy it again.")
    return settings


def tensors_of(path: Path) -> "dict[str, torch.Tensor]":
    """Return what a .pth holds, read as tensors alone. Raises ModelError for one that is damaged, or holds anything else."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path}: holds more than tensors, and is not read", hint="Get it from its makers again."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, IndexError) as error:
        if is_out_of_memory(error) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        raise ModelError(f"{path}: damaged: {_said(error)}", hint="Copy it again.") from None
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"{path}: holds no tensors by name", hint="Get it from its makers again.")
    return content


def _parts(source: Path) -> "list[dict[str, torch.Tensor]]":
    paths, parts = sorted(source.glob("consolidated.*.pth")), []
    for number, path in enumerate(paths):
        if path.name != f"consolidated.{number:02d}.pth":
            raise ModelError(
                f"{source}: no consolidated.{number:02d}.pth, though {paths[-1].name} is there", hint="Copy it too."
            )
        parts.append(tensors_of(path))
        advance("read", number + 1, len(paths))
    return parts


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _whole(parts: "Sequence[Mapping[str, torch.Tensor]]", width: int, source: Path) -> "dict[str, torch.Tensor]":
    """Put tensors together from the parts of a model-parallel checkpoint."""
    import torch

    if len(parts) == 1:
        return dict(parts[0])
    for number, part in enumerate(parts):
        if part.keys() != parts[0].keys():
            raise ModelError(
                f"{source}: consolidated.{number:02d}.pth has other tensors than the first", hint="Copy them again."
            )
    whole = {}
    for name, first in parts[0].items():
        along = SHARDED_BY.get(name.removesuffix(".weight").rpartition(".")[2])
        if name == "tok_embeddings.weight":  # LLaMA 3 cuts the vocabulary, those before it the width
            along = 0 if first.shape[1] == width else 1
        whole[name] = first if along is None else torch.cat([part[name] for part in parts], dim=along)
    return whole


def _config(settings: Mapping[str, Any], tensors: "Mapping[str, torch.Tensor]") -> "LlamaConfig":
    import torch
    from transformers import LlamaConfig

    heads, width = settings["n_heads"], settings["dim"]
    embedding, head = tensors["tok_embeddings.weight"], tensors["output.weight"]
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": float(settings.get("rope_theta", 10_000))}
    positions = 2048 if "n_kv_heads" not in settings and settings.get("norm_eps") == 1e-6 else 4096
    positions = positions if rope["rope_theta"] == 10_000 else 8192
    if settings.get("use_scaled_rope"):
        positions = 131_072
        factor = float(settings.get(FACTOR, _TIED.get((width, heads), 8.0)))
        rope |= {"rope_type": "llama3", "factor": factor, **STRETCHED}
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

"""A merged model as PyTorch's own file: LLaMA's in Meta's layout, all others under their plain names.

>>> write(merged, Path("folder"), "float32")      # consolidated.00.pth, params.json, config.json, tokenizer
"""

import json
from pathlib import Path
from typing import Any

from fintune.data.sources import sha256
from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.llama_layout import from_original, params, to_original
from fintune.models.original_llama import PARAMS, tensors_of
from fintune.models.references import loading_errors
from fintune.models.turns import loading
from fintune.prompts import Kind

_ORIGINAL, _PLAIN = "consolidated.00.pth", "model.pth"


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Save it; tied weights are written once under plain names, twice in Meta's layout, which knows no tying."""
    import torch

    model = merged.model.to(getattr(torch, dtype))
    config, tensors = model.config, dict(model.state_dict())
    settings = params(config) if config.model_type == "llama" else {}
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    if config.model_type == "llama":
        tensors = to_original(tensors, config.num_attention_heads, config.num_key_value_heads)
        (folder / PARAMS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
    torch.save(tensors, folder / (_ORIGINAL if config.model_type == "llama" else _PLAIN))


def is_one(folder: Path) -> bool:
    """Whether a folder holds such an export: a .pth with the settings and tokenizer of Hugging Face beside."""
    files = (folder / _ORIGINAL, folder / _PLAIN)
    return any(file.is_file() for file in files) and (folder / "config.json").is_file()


@loading()
def read(folder: Path, *, held: bool = False) -> LoadedModel:
    """The file's tensors in a model made from config.json, in float32 or as they are `held`. Raises ModelError."""
    import torch
    import transformers
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    original = (folder / _ORIGINAL).is_file()
    file = folder / (_ORIGINAL if original else _PLAIN)
    with loading_errors(str(folder)):
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        tensors = tensors_of(file)
        if original:
            tensors = from_original(tensors, config.num_attention_heads, config.num_key_value_heads)
        architecture: Any = getattr(transformers, config.architectures[0])
        precision = next(iter(tensors.values())).dtype if held else torch.float32
        model, found = architecture.from_pretrained(
            None, config=config, state_dict=tensors, dtype=precision, output_loading_info=True
        )
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if odd := [*found["missing_keys"], *found["unexpected_keys"], *map(str, found["mismatched_keys"])]:
        raise ModelError(f"{file}: does not fit config.json: {odd[0]}", hint="Export it again.")
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    return LoadedModel(model.eval(), tokenizer, kind, str(folder), sha256(file))

"""A merged model as PyTorch's own file: LLaMA's in Meta's layout, all others under their plain names.

Example:
    write(merged, Path("folder"), "float32")      # consolidated.00.pth, params.json, config.json, tokenizer
"""

import json
from pathlib import Path

from fintune.models import LoadedModel
from fintune.models.formats.llama import params, to_original
from fintune.models.formats.llama_checkpoint import PARAMS
from fintune.models.formats.state_dict import ORIGINAL, PLAIN


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
    torch.save(tensors, folder / (ORIGINAL if config.model_type == "llama" else PLAIN))

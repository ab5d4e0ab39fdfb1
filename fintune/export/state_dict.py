"""A merged model as PyTorch's own file: LLaMA's in Meta's layout, all others under their plain names.

>>> write(merged, Path("folder"), "float32")      # consolidated.00.pth, params.json, config.json, tokenizer
"""

import json
from pathlib import Path
from typing import Any

from fintune.data.sources import sha256
from fintune.models import LoadedModel
from fintune.models.llama_layout import from_original, params, to_original
from fintune.models.original_llama import PARAMS
from fintune.models.references import loading_errors
from fintune.prompts import Kind

_ORIGINAL, _PLAIN = "consolidated.00.pth", "model.pth"


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Save it; tied weights are written once under plain names, twice in Meta's layout, which knows no tying."""
    import torch

    model = merged.model.to(getattr(torch, dtype))
    config, tensors = model.config, dict(model.state_dict())
    config.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)
    if config.model_type == "llama":
        tensors = to_original(tensors, config.num_attention_heads, config.num_key_value_heads)
        (folder / PARAMS).write_text(json.dumps(params(config), indent=1), encoding="utf-8")
    torch.save(tensors, folder / (_ORIGINAL if config.model_type == "llama" else _PLAIN))


def read(folder: Path) -> LoadedModel:
    """The file's tensors in a model made from config.json."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    original = (folder / _ORIGINAL).is_file()
    file = folder / (_ORIGINAL if original else _PLAIN)
    with loading_errors(str(folder)):
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        if original:
            tensors = from_original(tensors, config.num_attention_heads, config.num_key_value_heads)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = auto.from_config(config).to(torch.float32)
        model.load_state_dict(tensors)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    return LoadedModel(model.eval(), tokenizer, kind, str(folder), sha256(file))

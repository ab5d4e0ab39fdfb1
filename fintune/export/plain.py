"""A merged model as a plain Hugging Face folder: config, safetensors, tokenizer, generation settings."""

from pathlib import Path

from fintune.models import LoadedModel, load_model


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Save it; the weights are cast to `dtype` in place."""
    import torch

    model = merged.model.to(getattr(torch, dtype))
    model.config._name_or_path = folder.name
    model.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)


def read(folder: Path) -> LoadedModel:
    """The folder's model in its own precision."""
    return load_model(str(folder), dtype="auto")

"""A merged model as a plain Hugging Face folder: config, safetensors, tokenizer, generation settings."""

from pathlib import Path

from fintune.models import LoadedModel, load_model


def write(merged: LoadedModel, folder: Path, dtype: str | None) -> None:
    """Save it; the weights are cast to `dtype` in place, or stay as they are."""
    import torch

    model = merged.model if dtype is None else merged.model.to(getattr(torch, dtype))
    model.config._name_or_path = folder.name
    model.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)


def read(folder: Path) -> LoadedModel:
    """Return the folder's weights, whatever precision they are held in, computed with in float32."""
    return load_model(str(folder), device="cpu", dtype="float32")

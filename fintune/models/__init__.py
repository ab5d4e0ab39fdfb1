"""Where weights come from: hub id, folder, .gguf file, the embedded default; all end as a LoadedModel."""

from fintune.models.load import LoadedModel, load_adapter, load_model

__all__ = ["LoadedModel", "load_adapter", "load_model"]

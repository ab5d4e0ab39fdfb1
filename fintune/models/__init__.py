"""Where weights come from: hub id, folder, .gguf file, the embedded default; all end as a LoadedModel."""

from fintune.models.load import LoadedModel, load_adapter, load_model
from fintune.models.references import check_reference

__all__ = ["LoadedModel", "check_reference", "load_adapter", "load_model"]

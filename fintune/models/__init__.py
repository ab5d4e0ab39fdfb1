"""Where weights come from (hub id, folder, .gguf, the embedded default), and one call of a model: prompts, batches, loss."""

from fintune.models.load import LoadedModel, load_model
from fintune.models.references import check_reference

__all__ = ["LoadedModel", "check_reference", "load_model"]

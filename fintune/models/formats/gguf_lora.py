"""A LoRA adapter in a .gguf file, read onto its base model."""

from pathlib import Path

from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.blocks import unwrap
from fintune.models.formats.gguf_names import ARCHITECTURES, names_of

LORA_FILE = "adapter.gguf"


def onto(base: LoadedModel, folder: Path) -> LoadedModel:
    """Return the base model with the file's updates in its weights."""
    import torch
    from gguf import GGUFReader

    model = unwrap(base.model)
    architecture = ARCHITECTURES[model.config.model_type]
    names = names_of(model, architecture)
    updates = {
        tensor.name: torch.from_numpy(tensor.data.copy()).float() for tensor in GGUFReader(folder / LORA_FILE).tensors
    }
    with torch.no_grad():
        for name, weight in model.named_parameters():
            theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if f"{theirs}.lora_a" not in updates:
                continue
            a, b = updates.pop(f"{theirs}.lora_a"), updates.pop(f"{theirs}.lora_b")
            turned = architecture.turn(name, weight.float(), model.config) + b @ a
            weight.copy_(architecture.back(name, turned, model.config))
    if updates:
        raise ModelError(f"{folder / LORA_FILE}: {min(updates)} belongs to no layer", hint="Export it again.")
    return base

"""A LoRA adapter as a .gguf that llama.cpp puts on the base model's (`--lora`).

llama.cpp scales an update by alpha / rank, or not at all where alpha is 0: every scaling, rank-stabilised ones and patterns too, is written
into the second factor, and alpha as 0.

>>> write(tuned, Path("folder"), "float32")
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.export import gguf_settings
from fintune.export.gguf import ARCHITECTURES, names_of
from fintune.models import LoadedModel

if TYPE_CHECKING:
    import torch

FILE = "adapter.gguf"


def write(tuned: LoadedModel, folder: Path, dtype: str) -> None:
    """Write adapter.gguf. Raises ModelError for what is no plain LoRA of linear layers."""
    import numpy as np
    from gguf import GGUFWriter

    bare = tuned.model.get_base_model()
    architecture = ARCHITECTURES[bare.config.model_type]
    gguf_settings.need_runnable(architecture.name, bare.config)
    names = names_of(bare, architecture)
    folder.mkdir()
    writer = GGUFWriter(folder / FILE, architecture.name)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)
    kind = np.float32 if dtype == "float32" else np.float16
    for name, a, b in _factors(tuned.model):
        theirs = names.get_name(f"{name}.weight", try_suffixes=(".weight",))
        if theirs is None:
            raise ModelError(f"--format gguf-lora: no place for {name} in llama.cpp", hint="Use --format gguf.")
        for side, tensor in {"a": a, "b": architecture.turn(f"{name}.weight", b, bare.config)}.items():
            writer.add_tensor(f"{theirs}.lora_{side}", tensor.float().contiguous().numpy().astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _factors(model: Any) -> "Iterator[tuple[str, torch.Tensor, torch.Tensor]]":
    """Layer, A `(rank, in)`, B `(out, rank)` with the scaling in it."""
    import torch
    from peft import get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    others = [n for n in get_peft_model_state_dict(model) if not n.endswith((".lora_A.weight", ".lora_B.weight"))]
    if others:
        raise ModelError(
            f"--format gguf-lora: {others[0]} trained too, and llama.cpp takes updates of linear layers alone",
            hint="Use --format gguf.",
        )
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            layer: Any = module
            if not isinstance(layer.get_base_layer(), torch.nn.Linear) or layer.lora_variant:
                raise ModelError(
                    f"--format gguf-lora: {name} is no plain LoRA of a linear layer", hint="Use --format gguf."
                )
            (adapter,) = layer.active_adapters
            a, b = layer.lora_A[adapter].weight.detach(), layer.lora_B[adapter].weight.detach()
            yield name.removeprefix("base_model.model."), a, b * layer.scaling[adapter]


def onto(base: LoadedModel, folder: Path) -> LoadedModel:
    """The base model with the file's updates in its weights."""
    import torch
    from gguf import GGUFReader

    architecture = ARCHITECTURES[base.model.config.model_type]
    names = names_of(base.model, architecture)
    updates = {
        tensor.name: torch.from_numpy(tensor.data.copy()).float() for tensor in GGUFReader(folder / FILE).tensors
    }
    with torch.no_grad():
        for name, weight in base.model.named_parameters():
            theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if f"{theirs}.lora_a" not in updates:
                continue
            a, b = updates.pop(f"{theirs}.lora_a"), updates.pop(f"{theirs}.lora_b")
            turned = architecture.turn(name, weight.float(), base.model.config) + b @ a
            weight.copy_(architecture.back(name, turned, base.model.config))
    if updates:
        raise ModelError(f"{folder / FILE}: {min(updates)} belongs to no layer", hint="Export it again.")
    return base

"""A LoRA adapter as a .gguf that llama.cpp puts on the base model's (`--lora`).

llama.cpp scales an update by alpha / rank, or not at all where alpha is 0: every scaling, rank-stabilised ones and patterns too, is written
into the second factor, and alpha as 0.

Example:
    write(tuned, Path("folder"), "float32")
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.export.formats import gguf_settings
from fintune.models import LoadedModel
from fintune.models.formats.gguf_lora import LORA_FILE
from fintune.models.formats.gguf_names import ARCHITECTURES, names_of

if TYPE_CHECKING:
    import torch
    from peft import PeftModel


def write(tuned: LoadedModel, folder: Path, dtype: str) -> None:
    """Write adapter.gguf. Raises ModelError for what is no plain LoRA of linear layers."""
    import numpy as np
    from gguf import GGUFWriter

    bare = tuned.model.get_base_model()
    architecture = ARCHITECTURES[bare.config.model_type]
    gguf_settings.need_runnable(architecture.name, bare.config)
    names = names_of(bare, architecture)
    folder.mkdir()
    writer = GGUFWriter(folder / LORA_FILE, architecture.name)
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


def _factors(model: "PeftModel") -> "Iterator[tuple[str, torch.Tensor, torch.Tensor]]":
    """Yield layer, A `(rank, in)`, B `(out, rank)` with the scaling in it."""
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

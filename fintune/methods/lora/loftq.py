"""LoftQ: A and B that start as the best low-rank image of what 4 bits lost of each weight (Li et al. 2023, arXiv:2310.08659, alg. 1).

One iteration: more would change the 4-bit weights themselves, and the adapter would no longer fit the base model as it is loaded.
PEFT's code moves every weight to a GPU; the same few lines run anywhere. The original weights are read from the model's own files.

Example:
    approximate(tuned.model)
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.models.blocks import unwrap
from fintune.runtime.progress import track

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

_ADAPTER = "default"


def approximate(model: "PeftModel") -> None:
    """Set A and B of every 4-bit layer. Raises ModelError where there is none."""
    import torch
    from peft.tuners.lora.bnb import Linear4bit

    layers: dict[str, Any] = {name: m for name, m in model.named_modules() if isinstance(m, Linear4bit)}
    if not layers:
        raise ModelError(
            "method.name: loftq starts from the error of a base model in 4 bits, and no 4-bit layer is adapted",
            hint="Use --set model.quantization=nf4, or method lora.",
        )
    original = _weights_of(str(unwrap(model).name_or_path))
    with torch.no_grad():
        for name, layer in track(list(layers.items()), "loftq"):
            weight = original(f"{name.removeprefix('base_model.model.')}.weight").to(layer.weight.device)
            a, b = _factors(layer, weight.float())
            layer.lora_A[_ADAPTER].weight.copy_(a)
            layer.lora_B[_ADAPTER].weight.copy_(b / layer.scaling[_ADAPTER])


def _factors(layer: Any, weight: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """Return A (r, in) and B (out, r): the leading part of W - Q."""
    import torch
    from bitsandbytes.functional import dequantize_4bit

    held, rank = layer.get_base_layer().weight, layer.r[_ADAPTER]
    rounded = dequantize_4bit(held.data, held.quant_state).float()
    fitting = [w for w in (weight, weight.T) if w.shape == rounded.shape]  # GPT-2's files have it the other way round
    error = min((w - rounded for w in fitting), key=lambda e: float(e.norm()))
    u, s, v = torch.linalg.svd(error, full_matrices=False)
    root = s[:rank].sqrt()
    return root[:, None] * v[:rank], u[:, :rank] * root


def _weights_of(folder: str) -> "Callable[[str], torch.Tensor]":
    """Return what reads a tensor of a model's safetensors files by name."""
    from safetensors import safe_open

    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"{folder}: no safetensors files to read the original weights from", hint="Use a local folder."
        )
    where = {name: file for file in files for name in _names(file)}

    def read(name: str) -> "torch.Tensor":
        if name not in where:
            raise ModelError(f"{folder}: no weight {name}", hint="Use method lora.")
        with safe_open(where[name], framework="pt") as opened:
            tensor: torch.Tensor = opened.get_tensor(name)
        return tensor

    return read


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())

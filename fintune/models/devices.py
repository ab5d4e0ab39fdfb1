"""Which device and which precision `auto` stands for."""

from typing import TYPE_CHECKING

from fintune.errors import ModelError

if TYPE_CHECKING:
    import torch


def find_device(name: str) -> "torch.device":
    """Find the device of that name and try it out. Raises ModelError when it cannot be used."""
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"model.device: cannot use '{name}': {str(error).splitlines()[0]}", hint="Use auto or cpu."
        ) from None
    return device


def find_dtype(name: str, device: "torch.device") -> "torch.dtype":
    """Find the precision in which weights are held on a device."""
    import torch

    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype

"""A base model held in 4 or 8 bits by bitsandbytes while it is frozen.

Example:
    load_model("embedded", quantization="nf4")
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fintune.runtime.library_messages import CAST_INPUTS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fintune.models.annotations import Model


def quantized(name: str, precision: "torch.dtype", device: "torch.device", *, double: bool) -> dict[str, object]:
    """Return what `from_pretrained` needs for `name` (none, nf4, int8); products are computed in `precision`.

    NF4: Dettmers et al. 2023, arXiv:2305.14314, section 3; int8: Dettmers et al. 2022, arXiv:2208.07339.
    """
    if name == "none":
        return {}
    from transformers import BitsAndBytesConfig

    settings: dict[str, object] = (
        {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": precision,
            "bnb_4bit_use_double_quant": double,
        }
        if name == "nf4"
        else {"load_in_8bit": True}
    )
    config: Any = BitsAndBytesConfig
    return {"quantization_config": config(**settings), "device_map": {"": device}}


def hush_casts() -> None:
    """Keep bitsandbytes from saying at each product in 8 bits that its inputs are cast."""
    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_says_more_than_casts)


def _says_more_than_casts(record: logging.LogRecord) -> bool:
    """Return whether a record is worth showing."""
    return not record.getMessage().startswith(CAST_INPUTS)


def keep_packing(model: "nn.Module") -> None:
    """Keep 4-bit layers from packing their weights anew when they first read in evaluation on a CPU with bfloat16 products.

    bitsandbytes 0.50 leaves them packed, and training after that runs through a product that has no gradient.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            vars(module)["support_avx512bf16_for_cpu"] = False


def unpacked(parameter: "torch.Tensor") -> int:
    """Count the numbers in a parameter; in 4 bits two of them are one byte."""
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else state.shape.numel())


def bytes_a_weight(name: str, dtype: "torch.dtype") -> float:
    """Return the bytes of a weight that is held as `name` says, without its scales."""
    return {"nf4": 0.5, "int8": 1.0}.get(name, dtype.itemsize)


def is_quantized(model: "nn.Module") -> bool:
    """Whether a model's weights are held in fewer bits."""
    return getattr(model, "quantization_method", None) is not None


@contextmanager
def known_as_adapted(model: "Model") -> Iterator[None]:
    """Inside the block transformers' Trainer takes a quantized model with adapters of ours, as it does one with PEFT's."""
    ours = is_quantized(model) and not hasattr(model, "get_base_model")
    if ours:
        vars(model)["_hf_peft_config_loaded"] = True
    try:
        yield
    finally:
        if ours:
            del vars(model)["_hf_peft_config_loaded"]

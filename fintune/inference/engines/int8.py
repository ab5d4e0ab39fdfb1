"""Linear layers in 8-bit integers on a CPU: several times the speed of their products.

Weights have a scale for each output channel, activations one for each token, found as they come; before that, channels of large
activations are scaled down and their weights up by what a few texts show (SmoothQuant, arXiv 2211.10438, eq. 4, alpha 0.5).
Layers out of a feed-forward's inner width are the worst of them (what they read are products with outliers that one scale a token
cannot hold); the texts they make unsure are read again in full precision (fallback.py), which costs less than leaving them out.

Example:
    quantize(model, lambda: engine.rank(prompts, candidates))
    # 126
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from fintune.models.blocks import block_list, blocks, unwrap

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_ALPHA = 0.5
_MOST = 127


class Int8Linear(nn.Module):
    """A frozen nn.Linear; `largest` `(in,)` is the largest activation of each input channel."""

    weight: torch.Tensor
    scale: torch.Tensor
    unsmooth: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, linear: nn.Linear, largest: torch.Tensor) -> None:
        super().__init__()
        weight, largest = linear.weight.data.float(), largest.detach().float()
        smooth = largest.clamp(min=1e-5) ** _ALPHA / weight.abs().amax(dim=0).clamp(min=1e-5) ** (1 - _ALPHA)
        smooth = smooth / smooth.mean()
        scaled = weight * smooth
        scale = scaled.abs().amax(dim=1).clamp(min=1e-12) / _MOST
        self.register_buffer("weight", (scaled / scale[:, None]).round().to(torch.int8).T.contiguous().T)
        self.register_buffer("scale", scale)
        self.register_buffer("unsmooth", 1 / smooth)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.data.float())
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply: (..., in) -> (..., out), in the precision of x."""
        flat = x.reshape(-1, self.in_features).float() * self.unsmooth
        rows = flat.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12).div_(_MOST)
        product = (
            torch._int_mm(flat.div_(rows).round_().to(torch.int8), self.weight.T).float().mul_(rows).mul_(self.scale)
        )
        if self.bias is not None:
            product.add_(self.bias)
        return product.view(*x.shape[:-1], self.out_features).to(x.dtype)


def quantize(model: "PreTrainedModel | PeftModel", read_texts: Callable[[], object]) -> int:
    """Replace the linear layers of the blocks in place, and return how many. `read_texts` has the model read a few texts."""
    inner = unwrap(model)
    lists = [blocks(inner)]
    if getattr(inner.config, "is_encoder_decoder", False):
        lists.append(block_list(inner.get_encoder()))
    linear = [m for blocks_ in lists for m in blocks_.modules() if isinstance(m, nn.Linear)]
    added_to = [m for m in linear if m._forward_hooks or m._forward_pre_hooks]
    kept = {id(inner) for m in added_to for inner in m.modules()}  # an adapter's hooks, and its own small layers
    layers = [m for m in linear if type(m) is nn.Linear and id(m) not in kept]
    largest = _largest(layers, read_texts)
    replacements = {id(layer): Int8Linear(layer, largest[id(layer)]) for layer in layers if id(layer) in largest}
    for parent in list(inner.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in replacements:
                setattr(parent, name, replacements[id(child)])
    return len(replacements)


def _largest(layers: list[nn.Linear], read_texts: Callable[[], object]) -> dict[int, torch.Tensor]:
    """Return the largest activation of each input channel of each layer, over the texts that are read."""
    largest: dict[int, torch.Tensor] = {}

    def note(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        seen = args[0].detach().abs().reshape(-1, args[0].shape[-1]).amax(dim=0).float()
        largest[id(module)] = torch.maximum(largest[id(module)], seen) if id(module) in largest else seen

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        read_texts()
    finally:
        for handle in handles:
            handle.remove()
    return largest

"""LoRA layers computed with less work: same parameters, same saved format, same numbers at dropout 0.

Layers that read the same input (queries, keys and values; gate and up) share one product with their stacked A and one dropout
mask, and the update is added inside the matrix product instead of beside it. Frozen weights get no gradient, so their input is
not kept for one.

Example:
    with fused(tuned, enabled=True):
        train(...)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fintune.models import LoadedModel
from fintune.models.shortcuts.last_block import queries_of_last_block

if TYPE_CHECKING:
    from fintune.models.annotations import Model

_HALF = 2**15


class _Updated(torch.autograd.Function):
    """y_i = x W_i' + b_i + s_i D(x) A_i' B_i' for layers i that share x; D is dropout with one mask (Hu et al. 2021, eq. 3)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, rate: float, dtype: torch.dtype, layers: "Sequence[_Layer]", *matrices: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Take the layers' A, each (r, in), then their B, each (out, r); return a result (..., out) a layer, in `dtype`."""
        flat, n = x.reshape(-1, x.shape[-1]).to(dtype), len(layers)
        ab = [matrix.to(dtype) for matrix in matrices]
        noise = _noise(flat, rate) if rate else None
        dropped = flat if noise is None else _kept(noise, rate, flat).mul_(flat)
        down = dropped @ _stacked(ab[:n]).T
        results = []
        for layer, part, b in zip(layers, torch.split(down, [a.shape[0] for a in ab[:n]], 1), ab[n:], strict=True):
            y = F.linear(flat, *layer.frozen(dtype))
            results.append(y.addmm_(part, b.T, alpha=layer.scaling).view(*x.shape[:-1], -1))
        ctx.save_for_backward(dropped, noise, down, *ab)
        ctx.layers, ctx.rate, ctx.shape, ctx.dtypes = layers, rate, x.shape, (x.dtype, matrices[0].dtype)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, A and B; a result nobody used counts as 0. Thin products are turned so that MKL is fast at them."""
        dropped, noise, down, *ab = ctx.saved_tensors
        layers, n = ctx.layers, len(ctx.layers)
        stacked, sizes = _stacked(ab[:n]), [a.shape[0] for a in ab[:n]]
        grads = [None if g is None else g.reshape(-1, g.shape[-1]) for g in outer]
        of_input, of_parameters = ctx.dtypes
        d_down, d_b = [], []
        for layer, g, b, part in zip(layers, grads, ab[n:], down.split(sizes, 1), strict=True):
            d_b.append(None if g is None else (part.T @ g).mul_(layer.scaling).T.to(of_parameters))
            d_down.append(torch.zeros_like(part) if g is None else (b.T @ g.T).mul_(layer.scaling).T)
        d_h = torch.cat(d_down, dim=1)
        d_a = (d_h.T @ dropped).to(of_parameters).split(sizes)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, *d_a, *d_b
        d_x = d_h @ stacked
        if noise is not None:
            d_x.mul_(_kept(noise, ctx.rate, d_x))
        for layer, g in zip(layers, grads, strict=True):
            if g is not None:
                d_x.addmm_(g, layer.frozen(d_x.dtype)[0])
        return d_x.to(of_input).view(ctx.shape), None, None, None, *d_a, *d_b


def _noise(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Draw a random int16 for each number of x, from torch's generator.

    On a CPU its bernoulli_ takes a fifth of a training step; here it only seeds SFC64 (numpy's), ten times as fast.
    """
    if x.device.type != "cpu":
        return torch.randint(-_HALF, _HALF, x.shape, dtype=torch.int16, device=x.device)
    seed, words = int(torch.randint(0, 2**62, ())), -(-x.numel() // 4)
    bits = np.random.Generator(np.random.SFC64(seed)).integers(0, 2**64 - 1, words, dtype=np.uint64, endpoint=True)
    return torch.from_numpy(bits.view(np.int16)[: x.numel()]).view(x.shape)


def _kept(noise: torch.Tensor, rate: float, like: torch.Tensor) -> torch.Tensor:
    """Return 0 for a share `rate` of the numbers, 1 / (1 - rate) for the others, as torch's dropout has it."""
    dropped = min(round(rate * 2 * _HALF), 2 * _HALF - 1)
    kept = torch.ge(noise, dropped - _HALF, out=torch.empty_like(like))
    return kept.mul_(2 * _HALF / (2 * _HALF - dropped))


def _stacked(matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(list(matrices))


@dataclass(frozen=True)
class _Layer:
    """What of a PEFT layer the update needs."""

    module: Any
    adapter: str
    _cast: dict[torch.dtype, tuple[torch.Tensor, torch.Tensor | None]] = field(default_factory=dict)

    def frozen(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weight and bias of the base layer in a precision; a copy in another than their own is made once."""
        base = self.module.base_layer
        if base.weight.dtype == dtype:
            return base.weight, base.bias
        if dtype not in self._cast:
            self._cast[dtype] = (
                base.weight.detach().to(dtype),
                None if base.bias is None else base.bias.detach().to(dtype),
            )
        return self._cast[dtype]

    @property
    def scaling(self) -> float:
        return float(self.module.scaling[self.adapter])

    def matrix(self, name: str) -> torch.Tensor:
        """Return lora_A `(r, in)` or lora_B `(out, r)`."""
        matrix: torch.Tensor = getattr(self.module, name)[self.adapter].weight
        return matrix

    @property
    def rate(self) -> float:
        dropout = self.module.lora_dropout[self.adapter]
        return float(dropout.p) if isinstance(dropout, nn.Dropout) and dropout.training else 0.0


@dataclass
class _Group:
    """Layers that read one input: the first to be asked computes all."""

    layers: Sequence[_Layer]
    _input: torch.Tensor | None = None
    _results: dict[int, torch.Tensor] = field(default_factory=dict)

    def ask(self, index: int, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        """Return the result of one layer; PEFT's own way when the adapter is off, merged, or asked for something special."""
        module = self.layers[index].module
        device, own = x.device.type, self.layers[index].matrix("lora_A").dtype
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        special = args or kwargs or module.disable_adapters or module.merged
        if special or (dtype != own and not torch.is_autocast_enabled(device)):
            result: torch.Tensor = type(module).forward(module, x, *args, **kwargs)
            return result
        if self._input is not x or index not in self._results:
            ab = [layer.matrix(name) for name in ("lora_A", "lora_B") for layer in self.layers]
            with torch.autocast(device, enabled=False):
                results = _Updated.apply(x, self.layers[0].rate, dtype, self.layers, *ab)
            self._input, self._results = x, dict(enumerate(results))
        result = self._results.pop(index)
        if not self._results:
            self._input = None
        return result


@contextmanager
def fused(loaded: LoadedModel, enabled: bool) -> Iterator[int]:
    """Compute the model's plain LoRA layers in groups inside the block, if enabled; yields how many layers that are."""
    if not enabled:
        yield 0
        return
    ids = torch.full((1, 2), loaded.tokenizer.pad_token_id, device=loaded.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if loaded.kind == "seq2seq":
        inputs["decoder_input_ids"] = ids[:, :1]
    queries = queries_of_last_block(loaded.model) if loaded.kind == "causal" else None
    with fused_layers(loaded.model, inputs, apart=[queries] if queries is not None else []) as layers:
        yield layers


@contextmanager
def fused_layers(model: "Model", inputs: Mapping[str, torch.Tensor], apart: Sequence[nn.Module] = ()) -> Iterator[int]:
    """Inside the block plain LoRA layers are computed in groups; yields how many layers that are.

    `inputs` are a few tokens the model reads once, to see which layers share an input; modules in `apart` never share.
    """
    groups = _groups(model, inputs, apart)
    try:
        for group in groups:
            for index, layer in enumerate(group.layers):
                layer.module.forward = _Asking(group, index)
        yield sum(len(group.layers) for group in groups)
    finally:
        for group in groups:
            for layer in group.layers:
                layer.module.__dict__.pop("forward", None)


@dataclass(frozen=True)
class _Asking:
    """The forward method of a grouped layer."""

    group: _Group
    index: int

    def __call__(self, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        return self.group.ask(self.index, x, *args, **kwargs)


def _groups(model: "Model", inputs: Mapping[str, torch.Tensor], apart: Sequence[nn.Module]) -> list[_Group]:
    last_read: dict[nn.Module, torch.Tensor] = {}
    """Last input by layer; one that reads two inputs (T5Gemma 2's keys) goes with those that read the later one too"""

    def note(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        last_read[module] = args[0]

    handles = [m.register_forward_pre_hook(note) for m in model.modules() if _is_plain(m)]
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(**inputs, use_cache=False)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    sharing: dict[tuple[str, int], list[_Layer]] = {}
    names = {module: name for name, module in model.named_modules()}
    for module, x in last_read.items():
        alone = any(module is other for other in apart)
        parent = names[module].rpartition(".")[0]  # all blocks' cross-attentions read one tensor, each in its own time
        key = (names[module], 0) if alone else (parent, id(x))
        sharing.setdefault(key, []).append(_Layer(module, _only_adapter(module)))
    return [_Group(layers) for layers in sharing.values()]


def _only_adapter(layer: Any) -> str:
    return str(layer.active_adapters[0])


def _is_plain(module: Any) -> bool:
    """Tell a LoRA layer of PEFT's without a variant, over a frozen nn.Linear."""
    from peft.tuners.lora import Linear

    if type(module) is not Linear or len(module.active_adapters) != 1 or type(module.base_layer) is not nn.Linear:
        return False
    adapter = module.active_adapters[0]
    plain = adapter in module.lora_A and adapter not in module.lora_variant and not module.lora_bias[adapter]
    return plain and not any(p.requires_grad for p in module.base_layer.parameters())

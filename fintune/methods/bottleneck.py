"""Bottleneck adapters: two small layers with a nonlinearity between them, behind or beside what a block computes.

Where they stand is seen on a pass over two tokens: the last layer of each attention, the first and the last of each feed-forward.
They are part of those layers (hooks), so every family, engine and shortcut that calls the layer calls them.

Example:
    METHODS["houlsby"].attach(model, HoulsbyOptions(size=64), "causal")
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods.fintune_format import begin, save
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fintune.models.annotations import Model


class HoulsbyOptions(MethodOptions):
    """Settings of method `houlsby`."""

    name: Literal["houlsby"] = "houlsby"
    size: int = Field(64, ge=1, le=16384, description="Inner width of an adapter.")
    activation: Literal["gelu", "relu", "silu"] = Field("gelu", description="Between its two layers.")
    layers: str = Field("all", pattern=r"^(all|top:[1-9]\d{0,3})$", description="Blocks that have them: all | top:6.")


class PfeifferOptions(HoulsbyOptions):
    """Settings of method `pfeiffer`."""

    name: Literal["pfeiffer"] = "pfeiffer"  # type: ignore[assignment]
    activation: Literal["gelu", "relu", "silu"] = Field("relu", description="Between its two layers.")


class ParallelOptions(HoulsbyOptions):
    """Settings of method `parallel`."""

    name: Literal["parallel"] = "parallel"  # type: ignore[assignment]
    size: int = Field(128, ge=1, le=16384, description="Inner width of an adapter.")
    activation: Literal["gelu", "relu", "silu"] = Field("relu", description="Between its two layers.")
    scale: float = Field(4.0, gt=0, description="What is added is multiplied by it.")
    num_virtual_tokens: int = Field(
        0, ge=0, le=1000, description="Prefixes in the attention too (30 there): the mix-and-match adapter."
    )


@dataclass
class _Sites:
    """Layers of a block in which adapters stand."""

    attentions: "list[nn.Module]" = field(default_factory=list)
    """The last layer of each attention."""
    first: "nn.Module | None" = None
    """The first layer of the feed-forward."""
    last: "nn.Module | None" = None
    """The last layer of the feed-forward."""


def behind_both(model: "Model", options: HoulsbyOptions, kind: str) -> "Model":
    """Put an adapter behind each attention and each feed-forward, before what they are added to."""
    begin(model, options)
    for sites in _all_sites(model, options.layers):
        for layer in [*sites.attentions, sites.last]:
            _behind(layer, options)
    return model


def behind_feed_forward(model: "Model", options: PfeifferOptions, kind: str) -> "Model":
    """Put an adapter behind each feed-forward."""
    begin(model, options)
    for sites in _all_sites(model, options.layers):
        _behind(sites.last, options)
    return model


def beside_feed_forward(model: "Model", options: ParallelOptions, kind: str) -> "Model":
    """Put an adapter beside each feed-forward, which reads the same and adds to what it gives; prefixes in the attention if asked."""
    begin(model, options)
    for sites in _all_sites(model, options.layers):
        _beside(sites.first, sites.last, options)
    if options.num_virtual_tokens:
        from fintune.methods.prefix_tuning import DeepPromptOptions, put_in

        put_in(model, DeepPromptOptions(num_virtual_tokens=options.num_virtual_tokens, layers=options.layers))
    return model


def _adapter(width_in: int, width_out: int, options: HoulsbyOptions) -> "nn.Sequential":
    """Make an adapter: down, nonlinearity, up; up starts at 0, so that nothing changes before training (He et al., section 4.1)."""
    from torch import nn
    from transformers.activations import ACT2FN

    down, up = nn.Linear(width_in, options.size), nn.Linear(options.size, width_out)
    nn.init.kaiming_uniform_(down.weight, a=5**0.5)
    for start in (down.bias, up.weight, up.bias):
        nn.init.zeros_(start)
    return nn.Sequential(down, ACT2FN[options.activation], up)


def _behind(layer: Any, options: HoulsbyOptions) -> None:
    width = _widths(layer)[1]
    layer.adapter = _adapter(width, width, options).to(layer.weight.device)
    layer.register_forward_hook(_add_own)


def _beside(first: Any, last: Any, options: ParallelOptions) -> None:
    last.adapter = _adapter(_widths(first)[0], _widths(last)[1], options).to(last.weight.device)
    last.adapter_scale = options.scale
    read: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda module, args: read.__setitem__(slice(None), [args[0]]))
    last.register_forward_hook(
        lambda module, args, output: output + module.adapter_scale * _through(module.adapter, read.pop())
    )


def _add_own(module: Any, args: object, output: "torch.Tensor") -> "torch.Tensor":
    return output + _through(module.adapter, output)


def _through(adapter: "nn.Sequential", states: "torch.Tensor") -> "torch.Tensor":
    """Return what an adapter gives, in the precision of the states; it computes in its own."""
    change: torch.Tensor = adapter(states.to(next(adapter.parameters()).dtype)).to(states.dtype)
    return change


def _widths(layer: Any) -> tuple[int, int]:
    """Return `(in, out)` of a linear layer or a Conv1D, which stores its weight the other way round."""
    if hasattr(layer, "in_features"):
        return layer.in_features, layer.out_features
    return layer.weight.shape[0], layer.weight.shape[1]


def _all_sites(model: "Model", layers: str) -> list[_Sites]:
    """Return the sites of all blocks, an encoder's too, or of the decoder's last ones. Raises ModelError where a block has none."""
    from fintune.models.blocks import block_list, blocks, unwrap

    chosen = list(blocks(model))
    if layers != "all":
        if (count := int(layers[4:])) > len(chosen):
            raise ModelError(
                f"method.layers: {layers}, and the model has {len(chosen)} blocks", hint="Use layers: all."
            )
        chosen = chosen[-count:]
    elif model.config.is_encoder_decoder:
        chosen = [*block_list(unwrap(model).get_encoder()), *chosen]
    with _noting(chosen) as calls:
        _read_two_tokens(model)
    sites = [_sites(block, calls[id(block)]) for block in chosen]
    if any(site.last is None or not site.attentions for site in sites):
        raise ModelError("method.name: this family's blocks have no plain attention and feed-forward", hint="Use lora.")
    return sites


def _sites(block: "nn.Module", called: "list[nn.Module]") -> _Sites:
    """Find which of the layers a block has called, in this order, are the ends of its parts."""
    parts = [m for m in block.modules() if "Attention" in type(m).__name__]
    outer = [m for m in parts if not any(m is not o and any(m is inner for inner in o.modules()) for o in parts)]
    inside = [[layer for layer in called if any(layer is m for m in part.modules())] for part in outer]
    attending = {id(layer) for layers in inside for layer in layers}
    rest = [layer for layer in called if id(layer) not in attending]
    ends = [layers[-1] for layers in inside if layers]
    return _Sites(ends, rest[0], rest[-1]) if rest else _Sites(ends)


@contextmanager
def _noting(chosen: "list[nn.Module]") -> "Iterator[dict[int, list[nn.Module]]]":
    """Inside the block, layers that a block's pass calls are listed under its id."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    calls: dict[int, list[nn.Module]] = {id(block): [] for block in chosen}

    def into(called: "list[nn.Module]") -> "Callable[[nn.Module, object, object], None]":
        return lambda module, args, output: called.append(module)

    handles = [
        module.register_forward_hook(into(calls[id(block)]))
        for block in chosen
        for module in block.modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _read_two_tokens(model: "Model") -> None:
    import torch

    ids = torch.zeros((1, 2), dtype=torch.long, device=model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    training = model.training
    with torch.no_grad():
        model.eval()(**inputs, use_cache=False)
    model.train(training)


_SHARED: dict[str, Any] = {
    "merge": None,
    "no_merge": "its nonlinearity has no place in the base model's weights",
    "saved_format": "fintune",
    "save": save,
    "learning_rate": 1e-3,
}
HOULSBY = Method(
    name="houlsby",
    summary="Two small adapters in each block, behind attention and feed-forward",
    paper="Houlsby et al. 2019, arXiv:1902.00751",
    options=HoulsbyOptions,
    attach=behind_both,
    learning_rate_source="best of three on AllAgree's validation part, docs/log/2026-11.md; arXiv:1902.00751: 3e-5 to 3e-3",
    **_SHARED,
)
PFEIFFER = Method(
    name="pfeiffer",
    summary="One small adapter in each block, behind the feed-forward",
    paper="Pfeiffer et al. 2021, arXiv:2005.00247",
    options=PfeifferOptions,
    attach=behind_feed_forward,
    learning_rate_source="as houlsby's",
    **_SHARED,
)
PARALLEL = Method(
    name="parallel",
    summary="An adapter beside each feed-forward; with prefixes in the attention, mix-and-match",
    paper="He et al. 2022, arXiv:2110.04366",
    options=ParallelOptions,
    attach=beside_feed_forward,
    learning_rate_source="as houlsby's",
    **_SHARED,
)

"""Prefix tuning and P-tuning v2: keys and values that are learned, before those of the text, in every block.

In an encoder-decoder there are three prefixes, as in Li and Liang: the encoder's, the decoder's, and the one between the two (where a
decoder has one attention for both, one). Both begin as keys and values of common words (section 7.4 there).

>>> METHODS["prefix"].attach(model, PrefixOptions(num_virtual_tokens=20), "seq2seq")
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods import fintune_format
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    import torch
    from torch import nn

_COMMON = 5000


class DeepPromptOptions(MethodOptions):
    """Settings of method `p-tuning-v2`."""

    name: Literal["p-tuning-v2"] = "p-tuning-v2"
    num_virtual_tokens: int = Field(20, ge=1, le=1000, description="Keys and values before those of the text.")
    layers: str = Field("all", pattern=r"^(all|top:[1-9]\d{0,3})$", description="Blocks that have them: all | top:6.")


class PrefixOptions(DeepPromptOptions):
    """Settings of method `prefix`."""

    name: Literal["prefix"] = "prefix"  # type: ignore[assignment]
    hidden_size: int = Field(
        128, ge=0, le=16384, description="Inner width of the network that makes the prefixes while training; 0: none."
    )


def attach(model: Any, options: DeepPromptOptions, kind: str) -> Any:
    """Put prefixes before the keys and values of every attention; they alone train."""
    fintune_format.begin(model, options)
    put_in(model, options)
    return model


def put_in(model: Any, options: DeepPromptOptions) -> None:
    """Put the prefixes in. Raises ModelError where a family has an attention of its own."""
    import torch

    from fintune.methods.prefix_attention import seen, use

    count, within = options.num_virtual_tokens, _within(model, options.layers)
    ids = torch.randint(0, min(_COMMON, model.get_input_embeddings().num_embeddings), (1, count)).to(model.device)
    sites = [site for site in seen(model, ids) if within is None or site.module in within]
    if not sites:
        raise ModelError(
            "method.name: this family computes attention in a way of its own, where nothing can be put before the keys",
            hint="Use method prompt, or lora.",
        )
    hidden = getattr(options, "hidden_size", 0)
    inner = _network(count, hidden).to(model.device) if hidden else None
    for site in sites:
        keys, values = site.keys[:, :count].float(), site.values[:, :count].float()  # small steps are lost on bfloat16
        site.module.prefix = _made(keys, values, inner, hidden) if inner is not None else _learned(keys, values)
    use(model)


def _within(model: Any, layers: str) -> "set[nn.Module] | None":
    """Return the modules of the chosen blocks; None for all. Raises ModelError."""
    from fintune.models.blocks import blocks

    if layers == "all":
        return None
    found, count = blocks(model), int(layers[4:])
    if count > len(found):
        raise ModelError(f"method.layers: {layers}, and the model has {len(found)} blocks", hint="Use layers: all.")
    return {module for block in list(found)[-count:] for module in block.modules()}


def _learned(keys: "torch.Tensor", values: "torch.Tensor") -> "nn.Module":
    from torch import nn

    class Learned(nn.Module):
        """Keys and values `(heads, n, width)` that train as they are."""

        def __init__(self) -> None:
            super().__init__()
            self.keys, self.values = nn.Parameter(keys.clone()), nn.Parameter(values.clone())

        def forward(self) -> "tuple[torch.Tensor, torch.Tensor]":
            return self.keys, self.values

    return Learned()


def _network(count: int, hidden: int) -> "nn.Module":
    """(n, hidden): what all prefixes of a model are made of; each has a last layer of its own (Li and Liang, section 4.3)."""
    from torch import nn

    class Inner(nn.Module):
        """A learned table through a layer and tanh."""

        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer = nn.Parameter(nn.init.normal_(_empty(count, hidden))), nn.Linear(hidden, hidden)

        def forward(self) -> "torch.Tensor":
            states: torch.Tensor = self.layer(self.table).tanh()
            return states

    return Inner()


def _empty(*shape: int) -> "torch.Tensor":
    import torch

    return torch.empty(*shape)


def _made(keys: "torch.Tensor", values: "torch.Tensor", inner: "nn.Module", width: int) -> "nn.Module":
    from torch import nn

    class Made(nn.Module):
        """Keys and values that start as given, and move by what a network makes."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.last = nn.Linear(width, keys[:, 0].numel() + values[:, 0].numel())
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)
            self.last.to(keys.device)
            self.first_keys: torch.Tensor
            self.first_values: torch.Tensor
            self.register_buffer("first_keys", keys, persistent=False)
            self.register_buffer("first_values", values, persistent=False)

        def forward(self) -> "tuple[torch.Tensor, torch.Tensor]":
            moved = self.last(self.inner())
            own, others = moved.split([keys[:, 0].numel(), values[:, 0].numel()], dim=1)
            return self.first_keys + _as(own, keys), self.first_values + _as(others, values)

    return Made()


def _as(flat: "torch.Tensor", like: "torch.Tensor") -> "torch.Tensor":
    """(n, heads x width) -> (heads, n, width)"""
    return flat.view(len(flat), like.shape[0], like.shape[2]).transpose(0, 1)


def _save(model: Any, folder: Path) -> None:
    """The prefixes as they are now: the network that made them is no longer needed."""
    import torch

    with torch.no_grad():
        made = {n: m.prefix() for n, m in model.named_modules() if getattr(m, "prefix", None) is not None}
    tensors = {}
    for name, (keys, values) in made.items():
        tensors[f"{name}.prefix.keys"], tensors[f"{name}.prefix.values"] = keys, values
    options = fintune_format.options_of(model)
    plain = options.model_copy(update={"hidden_size": 0}) if isinstance(options, PrefixOptions) else options
    fintune_format.write(tensors, plain, folder)


_SHARED: dict[str, Any] = {
    "attach": attach,
    "merge": None,
    "no_merge": "keys and values before the text have no place in the base model's weights",
    "virtual_tokens": True,
    "saved_format": "fintune",
    "save": _save,
}
PREFIX = Method(
    name="prefix",
    summary="Learned keys and values before the text's in every block, made by a small network while training",
    paper="Li and Liang 2021, arXiv:2101.00190",
    options=PrefixOptions,
    learning_rate=3e-3,
    learning_rate_source="best of three on AllAgree's validation part, docs/log/2026-11.md",
    **_SHARED,
)
P_TUNING_V2 = Method(
    name="p-tuning-v2",
    summary="Learned keys and values before the text's in every block, as they are",
    paper="Liu et al. 2022, arXiv:2110.07602",
    options=DeepPromptOptions,
    learning_rate=2e-2,
    learning_rate_source="between arXiv:2110.07602's order and the best of three on AllAgree's validation part, docs/log/2026-11.md",
    **_SHARED,
)

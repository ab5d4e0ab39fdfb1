"""Which lower part of a model no training reaches, how to read it alone, and how to run the rest without it.

Of a causal model these are the blocks below the first one with trainable parameters; of an encoder-decoder whose encoder
does not train, the encoder.

Example:
    trunk = find_trunk(tuned.model, tuned.kind)
    trunk.depth
    # 12
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from fintune.models.blocks import block_list, blocks, unwrap
from fintune.models.prompts import Kind

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig

    from fintune.models.annotations import Model

_Args: TypeAlias = tuple[Any, ...]


class NoTrunk(Exception):
    """Why nothing can be cached; not an error unless the cache was asked for."""


class _Reached(Exception):
    """The states that enter the first trained block are known: the rest, which costs as much again, need not run."""


@dataclass(frozen=True)
class Trunk:
    """`depth` frozen blocks of a causal model, or a frozen encoder (depth: its number of blocks)."""

    model: "Model"
    kind: Kind
    depth: int
    width: int
    """Numbers in the state of a token."""
    tuples: bool = False
    """Whether the model takes the first of what a block returns"""

    def read(self, input_ids: "torch.Tensor", attention_mask: "torch.Tensor", **more: "torch.Tensor") -> "torch.Tensor":
        """Return the states `(batch, length, width)` the trunk gives; the model must be in evaluation mode."""
        model = unwrap(self.model)
        if self.kind == "seq2seq":
            states: torch.Tensor = model.get_encoder()(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
            return states
        entering: list[torch.Tensor] = []

        def catch(module: object, args: "tuple[torch.Tensor, ...]", kwargs: "dict[str, torch.Tensor]") -> None:
            entering.append(args[0] if args else kwargs["hidden_states"])
            raise _Reached

        handle = blocks(model)[self.depth].register_forward_pre_hook(catch, with_kwargs=True)
        try:
            model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **more)
        except _Reached:
            return entering[0]
        finally:
            handle.remove()
        raise AssertionError("the first trained block was never reached")

    @contextmanager
    def supplied(self, states: "torch.Tensor") -> Iterator[None]:
        """Inside the block the (causal) model passes over its lower blocks and goes on from `states`."""
        layers = blocks(self.model)

        def replace(module: object, args: _Args, kwargs: dict[str, object]) -> "tuple[_Args, dict[str, object]]":
            return ((states, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": states})

        handle = layers[self.depth].register_forward_pre_hook(replace, with_kwargs=True)
        lower = list(layers)[: self.depth]
        for layer in lower:
            vars(layer)["forward"] = _pass_as_tuple if self.tuples else _pass
        try:
            yield
        finally:
            handle.remove()
            for layer in lower:
                del vars(layer)["forward"]


def _pass(hidden_states: "torch.Tensor", *_: object, **__: object) -> "torch.Tensor":
    return hidden_states


def _pass_as_tuple(hidden_states: "torch.Tensor", *_: object, **__: object) -> "tuple[torch.Tensor]":
    return (hidden_states,)


def _shape(model: "Model", kind: Kind, depth: int) -> tuple[int, bool]:
    """Return the width of a state, and whether blocks return tuples: seen on two tokens."""
    import torch

    outputs: list[torch.Tensor | tuple[torch.Tensor, ...]] = []
    inner = unwrap(model)
    layers = block_list(inner.get_encoder()) if kind == "seq2seq" else blocks(model)
    handle = layers[depth - 1].register_forward_hook(lambda module, args, output: outputs.append(output))
    ids, training = torch.zeros((1, 2), dtype=torch.long, device=inner.device), inner.training
    inner.eval()
    try:
        with torch.no_grad():
            part = inner.get_encoder() if kind == "seq2seq" else inner
            part(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        inner.train(training)
        handle.remove()
    output = outputs[0]
    return int((output[0] if isinstance(output, tuple) else output).shape[-1]), isinstance(output, tuple)


def find_trunk(model: "Model", kind: Kind) -> Trunk:
    """Return the trunk of a model with its trainable parameters attached. Raises NoTrunk with the reason."""
    inner = unwrap(model)
    embeddings = inner.get_input_embeddings()
    if any(p.requires_grad for p in embeddings.parameters()):
        raise NoTrunk("the embeddings train, and they stand below every block")
    if kind == "seq2seq":
        encoder = inner.get_encoder()
        _need_frozen(encoder, "the encoder trains (method.layers: top:N adapts the last N decoder blocks alone)")
        _need_no_dropout(encoder, inner.config, "the encoder")
        return Trunk(model, kind, len(block_list(encoder)), *_shape(model, kind, len(block_list(encoder))))
    layers = blocks(model)
    _need_frozen_below(inner.get_decoder(), layers)
    depth = next((i for i, layer in enumerate(layers) if _trains(layer)), len(layers) - 1)
    if depth == 0:
        raise NoTrunk("the lowest block trains (method.layers: top:6 adapts the last six alone)")
    for layer in list(layers)[:depth]:
        _need_no_dropout(layer, inner.config, "the lower blocks")
    _need_no_dropout(inner.get_decoder(), inner.config, "the model", below=layers)
    return Trunk(model, kind, depth, *_shape(model, kind, depth))


def _need_frozen_below(decoder: "nn.Module", layers: "nn.ModuleList") -> None:
    """Raise NoTrunk where what stands below the blocks trains: positions, norms of embeddings; a last norm stands behind."""
    for name, child in decoder.named_children():
        if child is layers:
            return
        _need_frozen(child, f"{name} trains, and it stands below every block")


def _trains(module: "nn.Module") -> bool:
    return any(p.requires_grad for p in module.parameters())


def _need_frozen(module: "nn.Module", reason: str) -> None:
    if _trains(module):
        raise NoTrunk(reason)


def _need_no_dropout(
    module: "nn.Module", config: "PreTrainedConfig", where: str, below: "Iterable[nn.Module]" = ()
) -> None:
    """Raise NoTrunk where there is dropout: it draws anew in every epoch, and nothing is the same twice."""
    from torch import nn

    inside = {id(m) for layer in below for m in layer.modules()}
    rates = [m.p for m in module.modules() if isinstance(m, nn.Dropout) and id(m) not in inside]
    named = config.get_text_config().to_dict()
    named |= config.to_dict()
    rates += [
        value
        for name, value in named.items()
        if ("drop" in name) and isinstance(value, float) and not name.startswith(("classifier", "summary", "pooler"))
    ]
    if rate := max(rates, default=0.0):
        raise NoTrunk(f"{where} of this model {'have' if where.endswith('s') else 'has'} dropout ({rate:g})")

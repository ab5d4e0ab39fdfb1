"""The last block's queries and feed-forward layers at the positions that are read, and nowhere else.

Keys and values are needed of every position; all else of a last block is thrown away but at those few. Two passes through the
family's own code: one is stopped when it hands keys and values to its cache, the other reads them back for the kept positions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from fintune.models.blocks import blocks, unwrap

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fintune.models.annotations import Model

    KeysValues: TypeAlias = tuple[torch.Tensor, torch.Tensor]

_KNOWN_MASKS = ("sdpa", "eager")
"""Implementations of attention whose masks are None or (batch, 1, queries, keys)"""


class _Kept(Exception):
    """Keys and values are known."""


class _Keeping:
    """Stands for a cache: keeps what it is given, and stops: attention and all behind it would be computed for nothing."""

    states: "KeysValues"

    def update(self, keys: "torch.Tensor", values: "torch.Tensor", *_: object, **__: object) -> NoReturn:
        self.states = keys, values
        raise _Kept


class _Giving:
    """Stands for a cache: gives keys and values of all positions."""

    def __init__(self, states: "KeysValues") -> None:
        self._states = states

    def update(self, *_: object, **__: object) -> "KeysValues":
        return self._states


@contextmanager
def last_positions(model: "Model", keep: "torch.Tensor") -> Iterator[bool]:
    """Inside the block the model gives states at `keep` `(batch, kept)` alone; False where its family does not allow it.

    Where it does, logits_to_keep has no more to choose from: leave it out.
    """
    layer = blocks(model)[-1]
    attention = _attention(layer)
    again = getattr(layer, "gradient_checkpointing", False)  # runs its forward once more, when this block is over
    if attention is None or again or unwrap(model).config._attn_implementation not in _KNOWN_MASKS:
        yield False
        return
    plain = layer.forward

    def narrow(hidden_states: "torch.Tensor", *args: Any, **kwargs: Any) -> Any:
        states = _keys_and_values(plain, attention, hidden_states, kwargs)
        kept = {name: _at(value, keep) for name, value in kwargs.items()}
        kept["attention_mask"] = _mask(kwargs.get("attention_mask"), keep, hidden_states.shape[1])
        return plain(_rows(hidden_states, keep), *args, **kept | {"cache": _Giving(states)})

    vars(layer)["forward"] = narrow
    try:
        yield True
    finally:
        del vars(layer)["forward"]


def queries_of_last_block(model: "Model") -> "nn.Module | None":
    """Return the layer that makes the last block's queries, where `last_positions` would pass over it."""
    attention = _attention(blocks(model)[-1])
    return None if attention is None else attention.get_submodule("q_proj")


def _attention(layer: "nn.Module") -> "nn.Module | None":
    """Return the attention of a block whose queries, keys and values are layers of their own, turned by position."""
    for module in layer.modules():
        if all(hasattr(module, name) for name in ("q_proj", "k_proj", "v_proj", "layer_idx", "is_causal")):
            return module
    return None


def _keys_and_values(
    plain: Callable[..., object], attention: "nn.Module", hidden_states: "torch.Tensor", kwargs: dict[str, Any]
) -> "KeysValues":
    queries, keeping = attention.get_submodule("q_proj"), _Keeping()
    layer: Any = getattr(queries, "base_layer", queries)
    width = getattr(layer, "out_features", layer.weight.shape[0])  # in 4 bits a weight's shape is that of its packing
    own = queries.__dict__.get("forward")
    vars(queries)["forward"] = lambda x: x.new_zeros((*x.shape[:-1], width))
    try:
        plain(hidden_states, **kwargs | {"cache": keeping})
    except _Kept:
        return keeping.states
    finally:
        if own is None:
            del vars(queries)["forward"]
        else:
            vars(queries)["forward"] = own
    raise AssertionError("the last block has not asked its cache")


def _at(value: Any, keep: "torch.Tensor") -> Any:
    """Cut what a block is told of each position down to the kept ones."""
    if isinstance(value, tuple):
        return tuple(_at(v, keep) for v in value)
    return _rows(value, keep) if hasattr(value, "dim") and value.dim() in (2, 3) else value


def _rows(tensor: "torch.Tensor", keep: "torch.Tensor") -> "torch.Tensor":
    """Return the kept rows `(batch, kept, ...)` of a tensor `(batch or 1, length, ...)`."""
    import torch

    whole = tensor.expand(len(keep), *tensor.shape[1:])
    return whole[torch.arange(len(keep), device=keep.device)[:, None], keep]


def _mask(mask: "torch.Tensor | None", keep: "torch.Tensor", length: int) -> "torch.Tensor":
    """Return the kept rows of a mask `(batch, 1, length, length)`; without one, positions look at themselves and what stands before."""
    import torch

    if mask is None:
        return torch.arange(length, device=keep.device) <= keep[:, None, :, None]
    return _rows(mask.transpose(1, 2), keep).transpose(1, 2)

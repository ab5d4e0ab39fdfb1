"""Keys and values of our own before those of the text, in any attention: encoders, decoders, between the two.

transformers lets a name stand for an implementation of attention; ours puts what a module's `prefix()` gives before its keys and values
and calls theirs. Positions and caches stay as they are, so padding changes nothing and a text is read once.

Example:
    sites = attention_sites(model, ids)            # which modules attend, with what keys
    module.prefix = LearnedPrefix(keys, values)    # () -> keys, values (heads, n, width)
    use_prefixes(model)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from fintune.models.blocks import unwrap

if TYPE_CHECKING:
    from fintune.models.annotations import Model

_Attended: TypeAlias = tuple[torch.Tensor, torch.Tensor | None]
"""States of the queries, and the weights where they are known."""

IMPLEMENTATION = "fintune_prefix"
_WATCHED = "fintune_watched"
_sites: "ContextVar[list[Site]]" = ContextVar("fintune_sites")
"""Where the call that watches puts what it sees"""


@dataclass(frozen=True)
class Site:
    """A module that attends, and the keys and values `(heads, n, width)` it had of some tokens."""

    module: nn.Module
    keys: torch.Tensor
    values: torch.Tensor


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> _Attended:
    """Compute SDPA behind a module's prefix; query (batch, heads, q, width), mask (batch, 1, q, k) or None."""
    prefix = getattr(module, "prefix", None)
    if prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    keys, values = (t.to(key.dtype).expand(len(key), *t.shape) for t in prefix())
    count, (q, k) = keys.shape[2], (query.shape[2], key.shape[2])
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    if attention_mask is None and causal and q > 1:
        attention_mask = torch.ones((1, 1, q, k), dtype=torch.bool, device=key.device).tril(k - q)
    if attention_mask is not None:
        attention_mask = F.pad(attention_mask, (count, 0), value=attention_mask.dtype == torch.bool)
    if kwargs.get("position_bias") is not None:
        kwargs["position_bias"] = F.pad(kwargs["position_bias"], (count, 0))
    kwargs["is_causal"] = False
    key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
    attended: _Attended = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return attended


def _watch(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> _Attended:
    """Note what a module attends to, and compute SDPA."""
    _sites.get().append(Site(module, key[0].detach().clone(), value[0].detach().clone()))
    return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)


@cache
def _register() -> None:
    """Tell transformers of both implementations, once a process, when the first model is to use one."""
    for name, attention in ((IMPLEMENTATION, _attend), (_WATCHED, _watch)):
        AttentionInterface.register(name, attention)
        AttentionMaskInterface.register(name, sdpa_mask)


def use_prefixes(model: "Model") -> None:
    """Have a model's attention heed prefixes."""
    _register()
    unwrap(model).set_attn_implementation(IMPLEMENTATION)


def attention_sites(model: "Model", ids: torch.Tensor) -> list[Site]:
    """Return the modules that attend while a model reads `ids` `(1, n)` (an encoder-decoder on both sides), in the order they do."""
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    with _watching(model) as sites, torch.no_grad():
        model(**inputs, use_cache=False)
    return sites


@contextmanager
def _watching(model: "Model") -> "Iterator[list[Site]]":
    _register()
    inner = unwrap(model)
    before, training = inner.config._attn_implementation, model.training
    sites: list[Site] = []
    token = _sites.set(sites)
    model.eval()
    inner.set_attn_implementation(_WATCHED)
    try:
        yield sites
    finally:
        _sites.reset(token)
        inner.set_attn_implementation(before)
        model.train(training)

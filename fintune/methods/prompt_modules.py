"""What stands before a text as modules: keys and values of an attention (prefixes), vectors of an embedding (prompts).

Each gives its tensors when it is called without arguments: as they are learned, or as a small network makes them while training.

Example:
    LearnedPrefix(keys, values)()[0].shape       # (heads, n, width)
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class LearnedPrefix(nn.Module):
    """Keys and values `(heads, n, width)` that train as they are."""

    def __init__(self, keys: "Tensor", values: "Tensor") -> None:
        super().__init__()
        self.keys, self.values = nn.Parameter(keys.clone()), nn.Parameter(values.clone())

    def forward(self) -> "tuple[Tensor, Tensor]":
        """Return keys and values."""
        return self.keys, self.values


class PrefixNetwork(nn.Module):
    """A learned table through a layer and tanh, of which all prefixes of a model are made (Li and Liang, section 4.3)."""

    def __init__(self, count: int, hidden: int) -> None:
        super().__init__()
        self.table, self.layer = nn.Parameter(nn.init.normal_(torch.empty(count, hidden))), nn.Linear(hidden, hidden)

    def forward(self) -> "Tensor":
        """Return states `(n, hidden)`."""
        states: Tensor = self.layer(self.table).tanh()
        return states


class GeneratedPrefix(nn.Module):
    """Keys and values that start as given, and move by what a network's states give through a last layer of their own."""

    def __init__(self, keys: "Tensor", values: "Tensor", inner: PrefixNetwork) -> None:
        super().__init__()
        self.inner = inner
        self._widths = keys[:, 0].numel(), values[:, 0].numel()
        self.last = nn.Linear(inner.layer.in_features, sum(self._widths))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.last.to(keys.device)
        self.first_keys: Tensor
        self.first_values: Tensor
        self.register_buffer("first_keys", keys, persistent=False)
        self.register_buffer("first_values", values, persistent=False)

    def forward(self) -> "tuple[Tensor, Tensor]":
        """Return keys and values `(heads, n, width)`."""
        keys, values = self.last(self.inner()).split(self._widths, dim=1)
        return self.first_keys + _by_heads(keys, self.first_keys), self.first_values + _by_heads(
            values, self.first_values
        )


def _by_heads(flat: "Tensor", like: "Tensor") -> "Tensor":
    """`(n, heads x width)` as `(heads, n, width)`."""
    return flat.view(len(flat), like.shape[0], like.shape[2]).transpose(0, 1)


class LearnedPrompt(nn.Module):
    """Vectors `(n, width)` that train as they are."""

    def __init__(self, start: "Tensor") -> None:
        super().__init__()
        self.vectors = nn.Parameter(start.clone())

    def forward(self) -> "Tensor":
        """Return the vectors."""
        return self.vectors


class GeneratedPrompt(nn.Module):
    """Vectors `(n, width)` that PEFT's prompt encoder makes of learned ones."""

    def __init__(self, encoder: nn.Module, count: int) -> None:
        super().__init__()
        self.encoder, self._count = encoder, count

    def forward(self) -> "Tensor":
        """Return the vectors."""
        device = next(self.encoder.parameters()).device
        vectors: Tensor = self.encoder(torch.arange(self._count, device=device)[None])[0]
        return vectors

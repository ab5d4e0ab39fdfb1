"""Virtual tokens: learned vectors that stand before every text, as ids behind the vocabulary.

The embedding is wrapped, so everything that takes ids (batches, masks, caches, engines) takes them as any other token.

Example:
    insert(model, prompt)            # prompt() gives (n, width)
    virtual_ids(model)
    # [262144, 262145, ...]
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from fintune.models.blocks import input_embedding

if TYPE_CHECKING:
    from torch import Tensor

    from fintune.models.annotations import Embedding, Model


class VirtualTokens(nn.Module):
    """An embedding of ids `(batch, length)` of which those behind its vocabulary are rows of `prompt()`."""

    def __init__(self, words: "Embedding", prompt: nn.Module, count: int) -> None:
        super().__init__()
        self.words, self.prompt, self.count = words, prompt, count

    def forward(self, ids: "Tensor") -> "Tensor":
        """Return vectors `(batch, length, width)` of ids `(batch, length)`."""
        size = self.num_embeddings
        states: Tensor = self.words(ids.clamp(max=size - 1))
        vectors = self.prompt().to(states.dtype)
        return torch.where((ids >= size)[..., None], vectors[(ids - size).clamp(min=0)], states)

    @property
    def weight(self) -> "Tensor":
        """Vectors of the words, to which a head may be tied."""
        return self.words.weight

    @property
    def num_embeddings(self) -> int:
        """Words in the vocabulary."""
        return int(self.weight.shape[0])

    @property
    def embedding_dim(self) -> int:
        """Width of a vector."""
        return int(self.weight.shape[1])

    @property
    def padding_idx(self) -> int | None:
        """Id of padding among the words."""
        index: int | None = getattr(self.words, "padding_idx", None)
        return index


def insert(model: "Model", prompt: nn.Module, count: int) -> None:
    """Put `count` virtual tokens, the rows of `prompt()`, into a model's embedding."""
    model.set_input_embeddings(VirtualTokens(input_embedding(model), prompt, count))


def virtual_ids(model: "Model") -> list[int]:
    """Return the ids of a model's virtual tokens; none where it has none."""
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, VirtualTokens):
        return []
    return ids_behind(embedding.num_embeddings, embedding.count)


def ids_behind(vocabulary: int, count: int) -> list[int]:
    """Return the ids of so many virtual tokens behind a vocabulary."""
    return list(range(vocabulary, vocabulary + count))

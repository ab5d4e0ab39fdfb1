"""Names for what libraries give: read by type checkers alone, so that nothing heavy is imported for an annotation.

>>> if TYPE_CHECKING:
...     from fintune.models.annotations import Model
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

    Model: TypeAlias = PreTrainedModel | PeftModel
    Loss: TypeAlias = Callable[[], torch.Tensor]
    """Has the model read one example, and returns its loss."""

JsonObject: TypeAlias = dict[str, object]
"""What a JSON object holds."""


class Embedding(Protocol):
    """The layer that makes vectors of token ids: of a vocabulary, and of virtual tokens behind it."""

    @property
    def weight(self) -> "torch.Tensor":
        """Vectors of the vocabulary, `(tokens, width)`."""

    @property
    def num_embeddings(self) -> int:
        """Tokens in the vocabulary."""

    @property
    def embedding_dim(self) -> int:
        """Width of a vector."""

    def __call__(self, ids: "torch.Tensor") -> "torch.Tensor":
        """Vectors `(batch, length, width)` of ids `(batch, length)`."""

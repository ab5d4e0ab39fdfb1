"""Only what is asked of a model: the logits of a few rows of its vocabulary, at the last positions of its last block.

Both give what the whole model gives there, and leave the rest out: a vocabulary of 262,144 rows costs a small model as much as
several of its blocks. The model's own head is exchanged meanwhile: a thread that shares it has its turn (turns.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintune.models.blocks import unwrap

if TYPE_CHECKING:
    import torch

    from fintune.models.annotations import Model


@contextmanager
def head_rows(model: "Model", rows: "torch.Tensor") -> Iterator[None]:
    """Inside the block the head computes these rows of the vocabulary alone, where it is a plain layer; see `of_rows`."""
    from torch import nn
    from torch.nn import functional as F

    inner = unwrap(model)
    head = inner.get_output_embeddings()
    if type(head) is not nn.Linear or getattr(inner, "final_logits_bias", None) is not None:
        yield
        return

    def narrow(hidden_states: "torch.Tensor") -> "torch.Tensor":
        return F.linear(hidden_states, head.weight[rows], None if head.bias is None else head.bias[rows])

    vars(head)["forward"] = narrow
    try:
        yield
    finally:
        del vars(head)["forward"]


def of_rows(logits: "torch.Tensor", rows: "torch.Tensor") -> "torch.Tensor":
    """Return the logits `(..., rows)` of these rows, whether or not `head_rows` could leave the others out."""
    return logits if logits.shape[-1] == len(rows) else logits[..., rows]

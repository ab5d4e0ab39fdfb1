"""The loss of answer tokens and nothing else."""

from typing import Any

import torch

from fintune.training.batching import IGNORE


def answer_loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy (nats) of answer tokens, summed and divided by the answer tokens of the whole accumulated batch.

    `outputs.logits` is `(batch, answer, vocabulary)`, `labels` `(batch, answer)`, aligned: no shift. `weights` `(batch,)`
    scale the examples; their mean over the training part is 1, so the divisor stays the number of tokens.
    `smoothing` moves that share of each target to all tokens evenly (Szegedy et al. 2016, section 7).
    """
    losses = torch.nn.functional.cross_entropy(
        outputs.logits.float().flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORE,
        reduction="none",
        label_smoothing=smoothing,
    ).view(labels.shape)
    total = losses.sum() if weights is None else (losses * weights[:, None]).sum()
    return total / (num_items_in_batch if num_items_in_batch is not None else (labels != IGNORE).sum())

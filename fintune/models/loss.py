"""The loss of answer tokens and nothing else."""

from typing import Protocol

import torch

from fintune.models.batches import IGNORE
from fintune.models.shortcuts.head import of_rows


class HasLogits(Protocol):
    """What a language model returns."""

    @property
    def logits(self) -> torch.Tensor:
        """Scores `(batch, length, vocabulary)` of each token."""


def answer_loss(  # noqa: PLR0913
    outputs: "HasLogits",
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
    rows: torch.Tensor | None = None,
    *,
    shares: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy (nats) of answer tokens, summed and divided by the answer tokens of the whole accumulated batch.

    `outputs.logits` is `(batch, answer, vocabulary)`, `labels` `(batch, answer)`, aligned: no shift. `weights` `(batch,)`
    scale the examples; their mean over the training part is 1, so the divisor stays the number of tokens.
    `smoothing` moves that share of each target to all tokens evenly (Szegedy et al. 2016, section 7). `rows` `(candidates,)`
    are the only tokens that can be answers: the logits of others count for nothing. `shares` `(batch, candidates)` are what is
    to be learned of answers of one token in place of that token: the probability of each of `rows`.
    """
    losses = token_losses(outputs, labels, smoothing, rows, shares=shares)
    total = losses.sum() if weights is None else (losses * weights[:, None]).sum()
    return total / (num_items_in_batch if num_items_in_batch is not None else (labels != IGNORE).sum())


def token_losses(
    outputs: "HasLogits",
    labels: torch.Tensor,
    smoothing: float = 0.0,
    rows: torch.Tensor | None = None,
    *,
    shares: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy (nats) of each answer token `(batch, answer)`, 0 where there is none; arguments as of answer_loss."""
    logits = outputs.logits
    if rows is not None:
        logits, labels = of_rows(logits, rows.to(logits.device)), _numbers(labels, rows)
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1),
        labels.flatten() if shares is None else shares,
        ignore_index=IGNORE,
        reduction="none",
        label_smoothing=smoothing,
    ).view(labels.shape)


def to_learn(
    outputs: "HasLogits", labels: torch.Tensor, rows: torch.Tensor | None = None, shares: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what there is to learn of each example `(batch,)` in nats: the loss of its answer, less the entropy of its shares."""
    with torch.no_grad():
        losses = token_losses(outputs, labels, rows=rows, shares=shares).sum(dim=-1)
        return losses if shares is None else losses - torch.special.entr(shares).sum(dim=-1)


def _numbers(labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the place of each label among the candidates."""
    places = (labels[..., None] == rows.to(labels.device)).int().argmax(dim=-1)
    return torch.where(labels == IGNORE, labels, places)

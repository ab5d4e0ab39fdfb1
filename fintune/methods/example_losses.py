"""Single examples of the training part for starts that look at them: each read on demand, in an order that the seed decides."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from fintune.models import LoadedModel
from fintune.models.batches import collator
from fintune.models.loss import answer_loss
from fintune.records import Encoded

_MOST = 128
"""Examples: some thousand tokens; Gemma 3 270M reads them in about a minute on a core"""


def example_losses(
    loaded: LoadedModel,
    examples: Sequence[Encoded],
    seed: int,
    rows: torch.Tensor | None = None,
    most: int = _MOST,
) -> list[Callable[[], torch.Tensor]]:
    """For each of at most so many examples a call that has the model read it alone and returns its loss."""
    chosen = np.random.default_rng(seed).permutation(len(examples))[:most]
    return [partial(_loss, loaded, examples[i], rows) for i in chosen]


def _loss(loaded: LoadedModel, example: Encoded, rows: torch.Tensor | None) -> torch.Tensor:
    batch = {name: tensor.to(loaded.device) for name, tensor in collator(loaded)([example]).items()}
    labels, _, shares = batch.pop("labels"), batch.pop("weights"), batch.pop("shares", None)
    return answer_loss(loaded.model(**batch), labels, rows=rows, shares=shares)

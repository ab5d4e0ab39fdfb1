"""Which examples an epoch after the first goes through: those of highest loss when they were last learned.

What has been learned in one pass adds little to a second, and what is not learned yet is seen at half the cost or less
(selective backpropagation, Jiang et al. 2019; here an epoch's choice is made at its beginning, from losses that training has anyway).

Example:
    hard = HardExamples(0.5, count=1446)
    hard.note(torch.tensor([3, 17]), torch.tensor([0.02, 1.3]))
    hard.among(epoch=1)         # 723 indices
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from fintune.errors import TrainingError

_FILE = "hard-examples.safetensors"


class HardExamples:
    """Losses of `count` examples (infinite before the first), and the `ratio` of them that is chosen, `least` at least."""

    def __init__(self, ratio: float, count: int, least: int = 1) -> None:
        self._size = max(least, round(ratio * count))
        self._losses = np.full(count, np.inf)
        self._epoch, self._among = 0, np.arange(count)

    def note(self, numbers: torch.Tensor, losses: torch.Tensor) -> None:
        """Note the losses `(batch,)` of the examples of these numbers `(batch,)`."""
        self._losses[numbers.cpu().numpy()] = losses.detach().double().cpu().numpy()

    def among(self, epoch: int) -> NDArray[np.int64] | None:
        """Return the numbers of an epoch's examples, from 0 on, all (None) in the first; asked again within the epoch, the same."""
        if epoch == 0:
            return None
        if epoch != self._epoch:
            self._epoch, self._among = epoch, np.sort(np.argsort(-self._losses, kind="stable")[: self._size])
        return self._among

    def save(self, folder: Path) -> None:
        """Write what is known into a checkpoint."""
        save_file({"losses": self._losses, "among": self._among, "epoch": np.array(self._epoch)}, folder / _FILE)

    def restore(self, folder: Path) -> None:
        """Read it from a checkpoint."""
        stored = load_file(folder / _FILE)
        self._losses, self._among, self._epoch = stored["losses"], stored["among"], int(stored["epoch"])


def hard_examples(ratio: float, count: int, batch_size: int, processes: int) -> HardExamples | None:
    """Return what a training of `count` examples needs, None where epochs see all. Raises TrainingError for several processes."""
    if ratio == 1:
        return None
    if processes > 1:
        raise TrainingError(
            "train.hard_example_ratio: each of several processes would see the losses of its own examples alone",
            hint="Train in one process, or set it to 1.",
        )
    return HardExamples(ratio, count, least=math.ceil(count / batch_size))

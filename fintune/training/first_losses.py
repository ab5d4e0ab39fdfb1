"""The losses of the first half epoch: whether a training is above guessing, and not on its way below.

The first steps are always high, so the second quarter of the epoch counts. A loss that still falls is learning, however high it is.

>>> first = FirstLosses(steps_an_epoch=400, guessing=0.55)
>>> for step in range(1, 201):
...     first.hear(step, loss_of(step))
>>> first.nothing_learned()
True
"""

import math
from statistics import fmean

import torch

_LEAST = 4
"""losses that tell whether they fall"""
_ERROR = 0.05
"""probability of calling a level loss a falling one"""


class FirstLosses:
    """Losses by step of the second quarter of the first epoch; `guessing` is the loss of knowing label frequencies alone."""

    def __init__(self, steps_an_epoch: int, guessing: float) -> None:
        self.guessing = guessing
        self.first, self.last = steps_an_epoch // 4 + 1, steps_an_epoch // 2
        self.losses: list[float] = []

    @property
    def wanted(self) -> bool:
        """Whether there is a bound, and steps enough to tell."""
        return math.isfinite(self.guessing) and self.last - self.first + 1 >= _LEAST

    @property
    def mean(self) -> float:
        """Of what was heard."""
        return fmean(self.losses)

    def hear(self, step: int, loss: torch.Tensor) -> None:
        """A step's loss, or a share of it: those of one step are added up."""
        if not self.wanted or not self.first <= step <= self.last:
            return
        if len(self.losses) <= step - self.first:
            self.losses.append(0.0)
        self.losses[-1] += float(loss)

    def nothing_learned(self) -> bool:
        """Above guessing on average, and not falling by a one-sided test of the slope."""
        return bool(self.losses) and self.mean > self.guessing and not self._fall()

    def _fall(self) -> bool:
        from scipy.stats import linregress

        slope = linregress(range(len(self.losses)), self.losses, alternative="less")
        return bool(slope.pvalue < _ERROR)

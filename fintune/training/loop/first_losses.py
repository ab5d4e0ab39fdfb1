"""The losses of the first half epoch: whether a training is above guessing, and not on its way below.

The first steps are always high, so the second quarter of the epoch counts. A loss that still falls is learning, however high it is.

Example:
    first = FirstLosses(steps_an_epoch=400, guessing=0.55)
    for step in range(1, 201):
        first.note(step, loss_of(step))
    first.nothing_learned()
    # True
"""

import math
from statistics import fmean

import torch

_LEAST = 4
"""Losses that it takes to tell whether they fall."""
_ERROR = 0.05
"""Probability of calling a level loss a falling one."""
_STANDS = 0.05
"""Share of the first step's loss that drawing other examples may move it by."""


class FirstLosses:
    """Losses by step of the second quarter of the first epoch; `guessing` is the loss of knowing label frequencies alone."""

    def __init__(self, steps_an_epoch: int, guessing: float) -> None:
        self.guessing = guessing
        self.first, self.last = steps_an_epoch // 4 + 1, steps_an_epoch // 2
        self.losses: list[float] = []
        self.start = 0.0
        """The first step's loss."""

    @property
    def wanted(self) -> bool:
        """Whether there is a bound, and steps enough to tell."""
        return math.isfinite(self.guessing) and self.last - self.first + 1 >= _LEAST

    @property
    def mean(self) -> float:
        """Return the mean of the losses noted."""
        return fmean(self.losses)

    def note(self, step: int, loss: torch.Tensor) -> None:
        """Note a step's loss, or a share of it: those of one step are added up."""
        if step == 1:
            self.start += float(loss)
        if not self.wanted or not self.first <= step <= self.last:
            return
        if len(self.losses) <= step - self.first:
            self.losses.append(0.0)
        self.losses[-1] += float(loss)

    def nothing_learned(self) -> bool:
        """Above guessing on average, and not falling by a one-sided test of the slope."""
        return bool(self.losses) and self.mean > self.guessing and not self._fall()

    def stands(self) -> bool:
        """Whether the loss is where it began: a rate that is too low does that as well as one that is too high."""
        return abs(self.mean - self.start) <= _STANDS * self.start

    def _fall(self) -> bool:
        from scipy.stats import linregress

        slope = linregress(range(len(self.losses)), self.losses, alternative="less")
        return bool(slope.pvalue < _ERROR)

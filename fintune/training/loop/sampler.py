"""Which examples share a batch.

Batches hold texts of like length, so that little is spent on padding; the order depends on (seed, epoch) alone.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_WINDOW = 16
"""Batches whose examples are sorted together: larger means less padding, smaller more chance."""


class BucketSampler:
    """Batches of indices; call set_epoch before each epoch (the data loader does).

    With `strata` (a number for each index) an epoch draws as often from each: some of a large one, a small one repeatedly.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, *, strata: Sequence[int] | None = None
    ) -> None:
        self._lengths = np.asarray(lengths)
        self._strata = None if strata is None else np.asarray(strata)
        self.batch_size = batch_size
        self.drop_last = False
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of epoch number `epoch`."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self._seed, self._epoch])
        order = self._draw(random)
        window = self.batch_size * _WINDOW
        batches: list[list[int]] = []
        for start in range(0, len(order), window):
            near = order[start : start + window]
            near = near[np.argsort(self._lengths[near], kind="stable")]
            batches += [near[i : i + self.batch_size].tolist() for i in range(0, len(near), self.batch_size)]
        for i in random.permutation(len(batches)):
            yield batches[i]

    def _draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        if self._strata is None:
            return random.permutation(len(self._lengths))
        members = [np.flatnonzero(self._strata == s) for s in np.unique(self._strata)]
        shares = np.diff(np.linspace(0, len(self._lengths), len(members) + 1).round().astype(int))
        drawn = [
            np.concatenate([random.permutation(m) for _ in range(math.ceil(n / len(m)))])[:n]
            for m, n in zip(members, shares.tolist(), strict=True)
        ]
        return random.permutation(np.concatenate(drawn))

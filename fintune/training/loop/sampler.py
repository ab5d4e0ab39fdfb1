"""Which examples share a batch.

Batches hold texts of like length, so that little is spent on padding; the order depends on (seed, epoch) alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_WINDOW = 16
"""Batches whose examples are sorted together: larger means less padding, smaller more chance."""


class BucketSampler:
    """Batches of indices; call set_epoch before each epoch (the data loader does).

    With `strata` (a number for each index) an epoch draws as often from each: some of a large one, a small one repeatedly.
    `among` names the indices of an epoch (None: all); fewer of them make as many batches, smaller ones.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        *,
        strata: Sequence[int] | None = None,
        among: Callable[[int], NDArray[np.int64] | None] = lambda epoch: None,
    ) -> None:
        self._lengths = np.asarray(lengths)
        self._strata = None if strata is None else np.asarray(strata)
        self._among = among
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
        few = self._among(self._epoch)
        order = self._draw(random) if few is None else random.permutation(few)
        bounds = np.minimum(np.arange(len(self) + 1) * self.batch_size, len(order))
        if few is not None:
            bounds = np.linspace(0, len(order), len(self) + 1).round().astype(int)
        batches: list[list[int]] = []
        for first in range(0, len(self), _WINDOW):
            edges = bounds[first : first + _WINDOW + 1]
            near = order[edges[0] : edges[-1]]
            near = near[np.argsort(self._lengths[near], kind="stable")]
            batches += [part.tolist() for part in np.split(near, edges[1:-1] - edges[0])]
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

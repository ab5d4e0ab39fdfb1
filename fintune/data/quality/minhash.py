"""Similar sets among a million: MinHash names candidate pairs, an exact test given by the caller decides each.

The least of randomly permuted members is the same in two sets with a probability of their similarity s (Broder 1997).
`ROWS` such minima make a band; sets that agree in one of b bands are a candidate pair, with a probability of
1 - (1 - s^ROWS)^b (LSH banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).

Sets are the rows of a 0/1 `csr_array`: random 63-bit hashes as sorted column numbers, at least one in a row.

>>> bands(0.7), round(1 - (1 - 0.7**ROWS) ** bands(0.7), 4)
(38, 0.9991)
"""

from collections.abc import Callable, Iterator
from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

ROWS = 5
"""Minima in a band: with more of them there are fewer candidates, but more bands are needed."""
RECALL = 0.999
"""Least probability with which a pair at the threshold is found."""

Longs = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Similar = Callable[[Longs, Longs], Flags]
_BLOCK = 18  # 2^18 hashes or pairs at a time stay in the processor's cache


def bands(threshold: float) -> int:
    """Bands that find a pair at the threshold with a probability of `RECALL`."""
    return 1 if threshold >= 1.0 else ceil(log(1.0 - RECALL) / log(1.0 - threshold**ROWS))


def components(sets: csr_array, threshold: float, similar: Similar, seed: int = 0) -> Longs:
    """Return a number for each set, the same for similar ones and transitively so, shape `(sets,)`."""
    root = np.arange(sets.shape[0])
    for keys in _band_keys(sets, threshold, seed):
        rows, reach = np.arange(len(root)), 1
        while True:
            rows, start, stop = _arranged(rows, keys, _roots(root, rows))
            for left, right in _pairs(start, np.minimum(stop, start + reach)):
                _unite(root, rows[left], rows[right], similar)
            if (stop - start <= reach).all():
                break
            reach *= 4
    return _roots(root, np.arange(len(root)))


def reached(sets: csr_array, others: csr_array, threshold: float, similar: Similar, *, seed: int = 0) -> Flags:
    """Whether a set is similar to one in `others`, shape `(sets,)`."""
    similar_to_others = np.zeros(sets.shape[0], dtype=np.bool_)
    for keys, theirs in zip(*(_band_keys(side, threshold, seed) for side in (sets, others)), strict=True):
        rows, order, reach = np.flatnonzero(~similar_to_others), np.argsort(theirs), 1
        start, stop = (np.searchsorted(theirs[order], keys[rows], side) for side in ("left", "right"))
        while len(rows):
            for left, right in _pairs(start, np.minimum(stop, start + reach)):
                open_pairs = ~similar_to_others[rows[left]]
                mine = rows[left[open_pairs]]
                similar_to_others[mine[similar(mine, order[right[open_pairs]])]] = True
            more = ~similar_to_others[rows] & (start + reach < stop)
            rows, start, stop = rows[more], start[more] + reach, stop[more]
            reach *= 4
    return similar_to_others


def joined(number: int, left: Longs, right: Longs) -> Longs:
    """Return the connected component of each of `number` nodes, given pairs of them, shape `(number,)`."""
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(number, number))
    component: Longs = connected_components(graph, directed=False)[1]
    return component


def per_set(sets: csr_array, value: Callable[[Hashes], Hashes], join: np.ufunc) -> Hashes:
    """`value` of the members of each set, reduced by `join`, shape `(sets,)`."""
    result = np.zeros(sets.shape[0], dtype=np.uint64)
    for rows in blocks(sets.indptr[:-1]):
        start = sets.indptr[rows]
        members = sets.indices[start[0] : sets.indptr[rows.stop]].view(np.uint64)
        result[rows] = join.reduceat(value(members), start - start[0])
    return result


def _band_keys(sets: csr_array, threshold: float, seed: int) -> Iterator[Hashes]:
    """Band by band a key for each set, shape `(sets,)`: equal if the minima of the band are."""
    for factors in np.random.default_rng(seed).integers(1 << 64, size=(bands(threshold), ROWS, 3), dtype=np.uint64):
        keys = np.zeros(sets.shape[0], dtype=np.uint64)
        for a, b, c in factors | np.uint64(1):  # an odd factor permutes the numbers below 2^64
            keys = keys * c + per_set(sets, lambda members, a=a, b=b: members * a + b, np.minimum)  # type: ignore[misc]
        yield keys


def blocks(offsets: Longs) -> Iterator[slice]:
    """Slices of what lies at ascending `offsets`, each about 2^_BLOCK long."""
    first = np.flatnonzero(np.diff(offsets >> _BLOCK, prepend=-1)).tolist()
    return map(slice, first, [*first[1:], len(offsets)])


def _pairs(start: Longs, stop: Longs) -> Iterator[tuple[Longs, Longs]]:
    """Yield the pairs `(i, j)` with `start[i] <= j < stop[i]`, in blocks of two arrays."""
    counts = stop - start
    for block in blocks(np.cumsum(counts)):
        count = counts[block]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        yield np.repeat(np.arange(block.start, block.stop), count), np.repeat(start[block], count) + within


def _arranged(rows: Longs, keys: Hashes, cluster: Longs) -> tuple[Longs, Longs, Longs]:
    """Those of `rows` whose key occurs in several clusters, sorted, and where the partners of each start and stop.

    Partners are the larger clusters with the same key: the members of the largest are not gone through.
    """
    bucket = np.unique(keys[rows], return_inverse=True)[1]
    cells, cell, size = np.unique(bucket * len(keys) + cluster, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(np.bincount(cells // len(keys))[bucket] > 1)
    kept = kept[np.lexsort((cell[kept], size[cell[kept]], bucket[kept]))]
    return rows[kept], _ends(cell[kept]), _ends(bucket[kept])


def _ends(groups: Longs) -> Longs:
    """Where the run of equal numbers that each stands in ends."""
    end = np.zeros(groups.max(initial=-1) + 1, dtype=np.int64)
    end[groups] = np.arange(1, len(groups) + 1)
    return end[groups]


def _roots(root: Longs, nodes: Longs) -> Longs:
    """Names of the clusters of `nodes`; shortens the paths in `root` to them."""
    while True:
        up = root[nodes]
        top = root[up]
        if np.array_equal(up, top):
            return up
        root[nodes] = top


def _unite(root: Longs, left: Longs, right: Longs, similar: Similar) -> None:
    """Join the clusters of similar pairs; pairs already in one cluster are not compared."""
    apart = _roots(root, left) != _roots(root, right)
    left, right = left[apart], right[apart]
    hit = similar(left, right)
    names, ends = np.unique(root[np.r_[left[hit], right[hit]]], return_inverse=True)
    component = joined(len(names), *ends.reshape(2, -1))
    _, first = np.unique(component, return_index=True)
    root[names] = names[first[component]]

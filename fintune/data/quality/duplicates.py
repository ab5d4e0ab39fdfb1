"""Texts that are equal, or nearly so: what must not stand on two sides of a split.

Near-duplicates: numbers masked, Jaccard similarity of word 1-2-grams >= 0.7, joined transitively into clusters. Found
exactly (all-pairs search after Bayardo et al. 2007) up to `PREFILTER_FROM` distinct sets, beyond it with `minhash`.

>>> clusters(["Sales rose 5 % to EUR 3 mn", "Sales rose 7 % to EUR 9 mn", "The board met"]).tolist()
[0, 0, 1]
"""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain, pairwise

import numpy as np
from scipy.sparse import csr_array, vstack
from SetSimilaritySearch import SearchIndex, all_pairs

from fintune.data.quality.minhash import Flags, Hashes, Longs, Similar, blocks, components, joined, per_set, reached

THRESHOLD = 0.7
"""Jaccard similarity from which two texts are near-duplicates."""
PREFILTER_FROM = 200_000
"""Distinct sets up to which every pair is found; beyond, a pair at the threshold is found with probability `minhash.RECALL`."""

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+")
_ASCII_WORDS = bytes(ord(chr(b).lower()) if b < 128 and chr(b).isalnum() else ord(" ") for b in range(256))
_HASHES = 2**63 - 1  # column numbers of scipy are signed
_CHUNK = 5_000  # texts whose shingles are strings at the same time


def shingles(text: str, *, numbers: bool = False) -> frozenset[str]:
    """Word 1-grams and 2-grams after NFKC and case folding, each number as `0` unless told; an ideograph or kana is a word."""
    words = _words(text, numbers)
    return frozenset(words).union(map(" ".join, pairwise(words)))


def clusters(texts: Sequence[str], threshold: float = THRESHOLD, *, numbers: bool = False) -> Longs:
    """Cluster number of each text, shape `(n,)`, in order of first appearance; with `numbers` these are words of their own."""
    sets, where = _distinct(hashed(texts, numbers=numbers))
    if sets.shape[0] > PREFILTER_FROM:
        return _by_first_appearance(components(sets, threshold, similarity(sets, sets, threshold))[where])
    rows = _lists(sets)
    pairs = [(a, b) for a, b, _ in all_pairs(rows, "jaccard", threshold)] if len(rows) > 1 else []
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return _by_first_appearance(joined(len(rows), left, right)[where])


def twins(texts: Sequence[str], others: Sequence[str], threshold: float = THRESHOLD) -> Flags:
    """Whether a text is a near-duplicate of one in `others`, directly and not over a third, shape `(len(texts),)`."""
    sets, where = _distinct(hashed(texts))
    against, _ = _distinct(hashed(others))
    if sets.shape[0] + against.shape[0] > PREFILTER_FROM:
        return reached(sets, against, threshold, similarity(sets, against, threshold))[where]
    if not against.shape[0]:
        return np.zeros(len(texts), dtype=np.bool_)
    index = SearchIndex(_lists(against), "jaccard", threshold)
    return np.array([bool(index.query(row)) for row in _lists(sets)], dtype=np.bool_)[where]


def nearest(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """Return the place in `others` of the text most similar to each of a few `texts`, the first of several, shape `(len(texts),)`."""
    sets = [_shingles_or_text(text) for text in texts]
    best = [(-1.0, 0)] * len(sets)
    for place, other in enumerate(map(_shingles_or_text, others)):
        for i, own in enumerate(sets):
            common = len(own & other)
            best[i] = max(best[i], (common / (len(own) + len(other) - common), -place))
    return [-place for _, place in best]


def prefiltered(texts: Sequence[str], others: Sequence[str] = ()) -> bool:
    """Whether `clusters(texts)`, or `twins(texts, others)`, needs MinHash: more than `PREFILTER_FROM` distinct sets."""
    if len(texts) + len(others) <= PREFILTER_FROM:
        return False
    distinct: int = sum(_distinct(hashed(side))[0].shape[0] for side in (texts, others))
    return distinct > PREFILTER_FROM


def hashed(texts: Sequence[str], *, numbers: bool = False) -> csr_array:
    """Shingles of each text, or the text itself if it has no word, as 63-bit hashes: 0/1, shape `(n, 2**63 - 1)`."""
    parts = [_hashed_chunk(texts[start : start + _CHUNK], numbers) for start in range(0, len(texts), _CHUNK)]
    return vstack(parts, format="csr") if parts else csr_array((0, _HASHES), dtype=np.int8)


def similarity(sets: csr_array, others: csr_array, threshold: float) -> Similar:
    """Test pairs `(left, right)`, rows of `sets` and of `others`, exactly: whether their Jaccard >= threshold."""
    sizes, other_sizes = np.diff(sets.indptr), np.diff(others.indptr)
    bits, other_bits = (
        per_set(s, lambda h: np.uint64(1) << (h & np.uint64(63)), np.bitwise_xor) for s in (sets, others)
    )

    def similar(left: Longs, right: Longs) -> Flags:
        total = sizes[left] + other_sizes[right]
        # what both have flips the same bit in both: never more bits differ than shingles do, and most pairs end here
        apart = _ones(bits[left] ^ other_bits[right])
        result: Flags = (total - apart) / (total + apart) >= threshold
        possible = np.flatnonzero(result)
        for block in blocks(np.cumsum(total[possible])):
            pair = possible[block]
            common = np.diff(sets[left[pair]].multiply(others[right[pair]]).tocsr().indptr)
            result[pair] = common / (total[pair] - common) >= threshold
        return result

    return similar


def _ones(bits: Hashes) -> Longs:
    """How many bits of each number are set (numpy 1 has no function for it)."""
    for shift, mask in ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        bits = (bits & np.uint64(mask)) + ((bits >> np.uint64(shift)) & np.uint64(mask))
    return (bits * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.int64)


def _hashed_chunk(texts: Sequence[str], numbers: bool) -> csr_array:
    rows = [_shingles_or_text(text, numbers=numbers) for text in texts]
    number = {shingle: _hash(shingle) for shingle in frozenset[str]().union(*rows)}
    columns = np.fromiter(map(number.__getitem__, chain.from_iterable(rows)), dtype=np.int64)
    ends = np.cumsum([0, *map(len, rows)])
    sets = csr_array((np.ones(len(columns), dtype=np.int8), columns, ends), shape=(len(rows), _HASHES))
    sets.sort_indices()
    return sets


def _shingles_or_text(text: str, *, numbers: bool = False) -> frozenset[str]:
    return shingles(text, numbers=numbers) or frozenset([text])


def _hash(shingle: str) -> int:
    return int.from_bytes(blake2b(shingle.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1


def _words(text: str, numbers: bool) -> list[str]:
    ascii_only = text.isascii()
    plain = text if ascii_only else unicodedata.normalize("NFKC", text).casefold()
    masked = plain if numbers else _NUMBER.sub("0", plain)
    if ascii_only:  # the same words in half the time
        return masked.encode().translate(_ASCII_WORDS).decode().split()
    return _WORD.findall(masked)


def _distinct(sets: csr_array) -> tuple[csr_array, Longs]:
    """Each set once, and for each text the place of its set; equal sums of the random hashes mean equal sets."""
    sums = per_set(sets, lambda hashes: hashes, np.add)
    _, first, where = np.unique(sums, return_index=True, return_inverse=True)
    return sets[first], where


def _lists(sets: csr_array) -> list[list[int]]:
    return [row.tolist() for row in np.split(sets.indices, sets.indptr[1:-1])] if sets.shape[0] else []


def _by_first_appearance(numbers: Longs) -> Longs:
    order = {number: i for i, number in enumerate(dict.fromkeys(numbers.tolist()))}
    return np.array([order[number] for number in numbers.tolist()], dtype=np.int64)

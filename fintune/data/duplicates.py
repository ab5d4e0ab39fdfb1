"""Texts that are equal, or nearly so: what must not stand on two sides of a split.

Near-duplicates: numbers masked, Jaccard similarity of word 1-2-grams >= 0.7, found exactly (all-pairs search after
Bayardo et al. 2007), joined transitively into clusters.

>>> clusters(["Sales rose 5 % to EUR 3 mn", "Sales rose 7 % to EUR 9 mn", "The board met"]).tolist()
[0, 0, 1]
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from SetSimilaritySearch import all_pairs

THRESHOLD = 0.7
"""Jaccard similarity from which two texts are near-duplicates"""

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+")


def shingles(text: str) -> frozenset[str]:
    """Word 1-grams and 2-grams after NFKC and case folding, each number as `0`; an ideograph or kana is a word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(_NUMBER.sub("0", folded))
    return frozenset(words) | {f"{a} {b}" for a, b in pairwise(words)}


def clusters(texts: Sequence[str], threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Cluster number of each text, shape `(n,)`; numbers follow first appearance."""
    sets = [shingles(text) or frozenset([text]) for text in texts]
    if not sets:
        return np.zeros(0, dtype=np.int64)
    distinct = {s: i for i, s in enumerate(dict.fromkeys(sets))}
    where = np.array([distinct[s] for s in sets])
    pairs = [(a, b) for a, b, _ in all_pairs(list(distinct), "jaccard", threshold)] if len(distinct) > 1 else []
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(distinct), len(distinct)))
    _, component = connected_components(graph, directed=False)
    return _by_first_appearance(component[where])


def _by_first_appearance(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    order = {number: i for i, number in enumerate(dict.fromkeys(numbers.tolist()))}
    return np.array([order[number] for number in numbers.tolist()], dtype=np.int64)

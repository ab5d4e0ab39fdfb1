"""What was found in the data before anything is trained: counts a reader can check against the source."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from fintune.records import Example


@dataclass(frozen=True)
class DataReport:
    """Counts over one data source; stored as `report` in data.json."""

    rows: int
    """labelled rows read, before anything was dropped"""
    empty_texts: int
    exact_duplicates: int
    """rows dropped since text and label stood there before"""
    conflicting_texts: int
    """texts that carry more than one label; they stay, on one side of the split"""
    near_duplicate_rows: int
    """rows that share a cluster with another row"""
    near_duplicate_clusters: int
    labels: dict[str, int]
    """kept rows of each label"""
    median_words: float
    longest_words: int
    parts: dict[str, dict[str, int]]
    """kept rows of each label in each part of the split"""


def drop_duplicates(examples: Sequence[Example]) -> list[Example]:
    """The first of each (text, label), in order."""
    first: dict[tuple[str, str], Example] = {}
    for example in examples:
        first.setdefault((example.text, example.label), example)
    return list(first.values())


def report(
    kept: Sequence[Example],
    groups: NDArray[np.int64],
    parts: Mapping[str, Sequence[Example]],
    *,
    empty: int,
    duplicates: int,
) -> DataReport:
    """Count what `kept` (duplicates dropped) and its split hold; `groups` are near-duplicate clusters, shape `(n,)`."""
    labels_of: dict[str, set[str]] = {}
    for example in kept:
        labels_of.setdefault(example.text, set()).add(example.label)
    sizes = np.bincount(groups)
    words = [len(example.text.split()) for example in kept]
    return DataReport(
        rows=len(kept) + duplicates + empty,
        empty_texts=empty,
        exact_duplicates=duplicates,
        conflicting_texts=sum(len(labels) > 1 for labels in labels_of.values()),
        near_duplicate_rows=int(sizes[sizes > 1].sum()),
        near_duplicate_clusters=int((sizes > 1).sum()),
        labels=dict(Counter(example.label for example in kept).most_common()),
        median_words=median(words),
        longest_words=max(words),
        parts={name: dict(Counter(example.label for example in part).most_common()) for name, part in parts.items()},
    )

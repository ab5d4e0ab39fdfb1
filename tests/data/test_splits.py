"""Clusters never part, labels keep their share, and the fingerprint follows the content."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fintune.data.checks import drop_duplicates
from fintune.data.duplicates import clusters
from fintune.data.readers import read
from fintune.data.splits import fingerprint, split
from fintune.records import Example

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def examples(n: int = 300, seed: int = 0) -> list[Example]:
    labels = np.random.default_rng(seed).choice(["a", "b", "c"], size=n, p=[0.6, 0.3, 0.1])
    return [Example(str(i), f"text {i}", label) for i, label in enumerate(labels.tolist())]


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_labels_keep_their_share(seed: int) -> None:
    rows = examples(seed=seed)
    groups = np.random.default_rng(seed).integers(0, 200, size=300)
    splits = split(rows, groups, FRACTIONS, seed=seed)
    place = {e.id: part for part, members in splits.parts.items() for e in members}
    assert len(place) == 300
    assert all(len({place[str(i)] for i in np.flatnonzero(groups == g)}) <= 1 for g in range(200))
    total = Counter(e.label for e in rows)
    for part, share in FRACTIONS.items():
        counts = Counter(e.label for e in splits[part])
        assert all(abs(counts[label] - share * n) <= 3 for label, n in total.items()), "groups of up to six rows"


@pytest.mark.parametrize("seed", range(5))
def test_without_groups_no_label_is_off_by_more_than_one(seed: int) -> None:
    rows = examples(seed=seed)
    splits = split(rows, np.arange(300), FRACTIONS, seed=seed)
    for label, n in Counter(e.label for e in rows).items():
        for part, share in FRACTIONS.items():
            assert abs(sum(e.label == label for e in splits[part]) - share * n) < 1.0001


def test_the_seed_decides() -> None:
    rows, groups = examples(), np.arange(300)
    assert split(rows, groups, FRACTIONS, seed=1) == split(rows, groups, FRACTIONS, seed=1)
    assert split(rows, groups, FRACTIONS, seed=1)["test"] != split(rows, groups, FRACTIONS, seed=2)["test"]


def test_fingerprint_follows_content_not_order_or_file() -> None:
    a, b, c = Example("f:1", "x", "up"), Example("f:2", "y", "down"), Example("g:9", "x", "up")
    base = fingerprint({"train": [a, b], "test": []})
    assert fingerprint({"test": [], "train": [b, a]}) == fingerprint({"train": [b, c], "test": []}) == base
    others = [
        {"train": [a], "test": [b]},
        {"train": [a, Example("f:2", "z", "down")], "test": []},
        {"train": [a, Example("f:2", "y", "up")], "test": []},
    ]
    assert len({base, *map(fingerprint, others)}) == 4


def test_the_default_split_of_phrasebank(phrasebank: Path) -> None:
    kept = drop_duplicates([Example(row.id, row.text, row.label or "") for row in read(str(phrasebank))])
    groups = clusters([e.text for e in kept])
    splits = split(kept, groups, FRACTIONS, seed=0)
    assert {part: len(members) for part, members in splits.parts.items()} == {
        "train": 1581,
        "validation": 226,
        "test": 452,
    }
    place = {e.id: part for part, members in splits.parts.items() for e in members}
    joined = {group: {place[kept[i].id] for i in np.flatnonzero(groups == group)} for group in set(groups.tolist())}
    assert all(len(parts) == 1 for parts in joined.values())
    assert splits.fingerprint == "f88361e959f1af4a"

"""Clusters never part, labels keep their share, and the fingerprint follows the content."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fintune.data.quality.cleanup import clean
from fintune.data.quality.duplicates import clusters
from fintune.data.readers.read import read
from fintune.data.splits import Plan, Splits, divide, fingerprint, learning_subset
from fintune.errors import DataError
from fintune.records import Example
from tests.made_records import example

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def split(rows: list[Example], groups: np.ndarray, shares: dict[str, float], *, seed: int) -> Splits:
    parts = divide(rows, Plan("near-duplicates", shares, seed), groups=groups)
    return Splits(parts, fingerprint(parts))


def examples(n: int = 300, seed: int = 0) -> list[Example]:
    labels = np.random.default_rng(seed).choice(["a", "b", "c"], size=n, p=[0.6, 0.3, 0.1])
    return [example(str(i), f"text {i}", label) for i, label in enumerate(labels.tolist())]


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_labels_keep_their_share(seed: int) -> None:
    rows = examples(seed=seed)
    groups = np.random.default_rng(seed).integers(0, 200, size=300)
    splits = split(rows, groups, FRACTIONS, seed=seed)
    place = {e.id: part for part, members in splits.parts.items() for e in members}
    assert len(place) == 300
    assert all(len({place[str(i)] for i in np.flatnonzero(groups == g)}) <= 1 for g in range(200))
    total = Counter(e.target for e in rows)
    for part, share in FRACTIONS.items():
        counts = Counter(e.target for e in splits[part])
        assert all(abs(counts[label] - share * n) <= 3 for label, n in total.items()), "groups of up to six rows"


@pytest.mark.parametrize("seed", range(5))
def test_without_groups_no_label_is_off_by_more_than_one(seed: int) -> None:
    rows = examples(seed=seed)
    splits = split(rows, np.arange(300), FRACTIONS, seed=seed)
    for label, n in Counter(e.target for e in rows).items():
        for part, share in FRACTIONS.items():
            assert abs(sum(e.target == label for e in splits[part]) - share * n) < 1.0001


@pytest.mark.parametrize("seed", range(10))
def test_any_shares_keep_every_row_once_and_in_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, groups = examples(int(random.integers(10, 200)), seed), random.integers(0, 60, 200)
    shares = dict(zip(FRACTIONS, random.dirichlet([3, 1, 1]).tolist(), strict=True))
    parts = split(rows, groups[: len(rows)], shares, seed=seed).parts
    assert list(parts) == list(FRACTIONS)
    for members in parts.values():
        assert [int(e.id) for e in members] == sorted(int(e.id) for e in members)
    assert sorted((e for members in parts.values() for e in members), key=lambda e: int(e.id)) == rows


@pytest.mark.parametrize("seed", range(10))
def test_single_rows_meet_any_shares_within_one(seed: int) -> None:
    rows = examples(120, seed)
    shares = dict(zip(FRACTIONS, np.random.default_rng(seed).dirichlet([3, 1, 1]).tolist(), strict=True))
    splits = split(rows, np.arange(120), shares, seed=seed)
    for label, n in Counter(e.target for e in rows).items():
        assert all(abs(sum(e.target == label for e in splits[part]) - shares[part] * n) < 1 for part in shares)


def test_a_cluster_goes_where_most_of_its_labels_are_lacking() -> None:
    """Of a cluster with two labels the more frequent one decides, whatever its other rows would prefer."""
    labels = ["a"] * 50 + ["b"] * 10 + (["a"] * 1 + ["b"] * 5)
    rows = [example(str(i), f"text {i}", label) for i, label in enumerate(labels)]
    groups = np.array([0] * 50 + list(range(1, 11)) + [11] * 6)  # 50 times a, ten single b, five b with one a
    splits = split(rows, groups, {"train": 0.6, "test": 0.4}, seed=0)
    assert {str(i) for i in range(50)} <= {e.id for e in splits["train"]}, "all a but one"
    assert {str(i) for i in range(60, 66)} <= {e.id for e in splits["test"]}, "one a and a third of b: test lacks both"


def test_a_cluster_larger_than_a_part_stays_whole() -> None:
    splits = split(examples(100), np.array([0] * 60 + list(range(1, 41))), FRACTIONS, seed=0)
    assert {str(i) for i in range(60)} <= {e.id for e in splits["train"]}


def test_the_seed_decides() -> None:
    rows, groups = examples(), np.arange(300)
    assert split(rows, groups, FRACTIONS, seed=1) == split(rows, groups, FRACTIONS, seed=1)
    assert split(rows, groups, FRACTIONS, seed=1)["test"] != split(rows, groups, FRACTIONS, seed=2)["test"]


def test_fingerprint_follows_content_not_order_or_file() -> None:
    a, b, c = example("f:1", "x", "up"), example("f:2", "y", "down"), example("g:9", "x", "up")
    base = fingerprint({"train": [a, b], "test": []})
    assert fingerprint({"test": [], "train": [b, a]}) == fingerprint({"train": [b, c], "test": []}) == base
    others = [
        {"train": [a], "test": [b]},
        {"train": [a, example("f:2", "z", "down")], "test": []},
        {"train": [a, example("f:2", "y", "up")], "test": []},
    ]
    assert len({base, *map(fingerprint, others)}) == 4
    assert len(base) == 16
    assert int(base, 16) >= 0


def test_a_split_carries_the_fingerprint_of_its_parts() -> None:
    rows = examples(30)
    splits = split(rows, np.arange(30), FRACTIONS, seed=0)
    assert splits.fingerprint == fingerprint(splits.parts)
    assert splits.fingerprint != split(rows, np.arange(30), FRACTIONS, seed=1).fingerprint


def test_the_default_split_of_phrasebank(phrasebank: Path) -> None:
    kept, _ = clean(
        [example(row.id, row.text, row.target or "") for row in read(str(phrasebank))], ["exact-duplicates"]
    )
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


def dated(*dates: str) -> list[Example]:
    return [example(str(i), f"text {i}", "a", date=date) for i, date in enumerate(dates)]


def test_by_time_the_oldest_learn_and_a_moment_never_parts() -> None:
    rows = dated("2024-03-01", "2024-01-01", "2024-02-01", "2024-01-02", "2024-02-01", "2024-02-01T00:00:00+00:00")
    parts = divide(rows, Plan("time", {"train": 0.5, "validation": 0.25, "test": 0.25}))
    assert [[e.id for e in part] for part in parts.values()] == [["1", "2", "3", "4", "5"], [], ["0"]]


def test_by_time_reads_the_formats_that_are_named() -> None:
    rows = dated("02/01/2024", "01.02.2024")
    parts = divide(rows, Plan("time", {"train": 0.5, "test": 0.5}, date_format=["%d/%m/%Y", "%d.%m.%Y"]))
    assert [e.id for e in parts["train"]] == ["0"]
    with pytest.raises(DataError, match="0: no date"):
        divide(rows, Plan("time", {"train": 0.5, "test": 0.5}))
    with pytest.raises(DataError, match="0: no date"):
        divide(examples(3), Plan("time", {"train": 0.5, "test": 0.5}))


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_a_column_stay_whole(seed: int) -> None:
    names = np.random.default_rng(seed).choice(["x", "y", "z", "w", "v"], size=60).tolist()
    rows = [example(str(i), f"text {i}", "ab"[i % 2], group=name) for i, name in enumerate(names)]
    parts = divide(rows, Plan("group", FRACTIONS, seed))
    seen = [{e.group for e in part} for part in parts.values()]
    assert sum(map(len, seen)) == len(set(names))
    with pytest.raises(DataError, match="0: no group"):
        divide(examples(3), Plan("group", FRACTIONS))


def test_at_random_labels_and_clusters_do_not_count() -> None:
    parts = divide(examples(300), Plan("random", FRACTIONS, 1), groups=np.zeros(300, dtype=np.int64))
    assert [len(part) for part in parts.values()] == [210, 30, 60]
    assert parts != divide(examples(300), Plan("random", FRACTIONS, 2))


def test_stratified_keeps_shares_and_ignores_clusters() -> None:
    rows = examples(300)
    parts = divide(rows, Plan("stratified", FRACTIONS, 0), groups=np.zeros(300, dtype=np.int64))
    for label, n in Counter(e.target for e in rows).items():
        assert all(abs(sum(e.target == label for e in parts[p]) - share * n) < 1.0001 for p, share in FRACTIONS.items())


@pytest.mark.parametrize("by", ["near-duplicates", "stratified", "random"])
def test_folds_share_one_test_part_and_validate_every_other_row_once(by: str) -> None:
    rows, groups = examples(120), np.random.default_rng(0).integers(0, 80, size=120)
    folds = [divide(rows, Plan(by, FRACTIONS, 3, folds=4, fold=i), groups=groups) for i in range(4)]
    assert all(fold["test"] == folds[0]["test"] for fold in folds)
    validated = [e.id for fold in folds for e in fold["validation"]]
    assert len(validated) == len(set(validated)) == 120 - len(folds[0]["test"])
    for fold in folds:
        assert {e.id for e in fold["train"]} == set(validated) - {e.id for e in fold["validation"]}
        place = {e.id: part for part, members in fold.items() for e in members}
        if by == "near-duplicates":
            assert all(len({place[str(i)] for i in np.flatnonzero(groups == g)}) <= 1 for g in range(80))


def test_folds_by_time_learn_from_the_past_alone() -> None:
    rows = dated(*(f"2024-01-{day:02d}" for day in range(1, 21)))
    for i in range(3):
        fold = divide(rows, Plan("time", {"train": 0.7, "validation": 0.1, "test": 0.2}, folds=3, fold=i))
        days = {part: [int(e.id) for e in members] for part, members in fold.items()}
        assert days["train"] == list(range(4 * (i + 1)))
        assert days["validation"] == list(range(4 * (i + 1), 4 * (i + 2)))
        assert days["test"] == list(range(16, 20))


def test_smaller_train_parts_lie_within_larger_ones_and_keep_the_shares() -> None:
    labels = ["neutral"] * 60 + ["positive"] * 30 + ["negative"] * 10
    examples = [example(f"f:{i}", f"text {i}", label) for i, label in enumerate(labels)]
    sizes = [3, 10, 20, 50, 100]
    subsets = [learning_subset(examples, size, seed=0) for size in sizes]
    for smaller, larger in pairwise(subsets):
        assert {e.id for e in smaller} < {e.id for e in larger}
    assert [len(subset) for subset in subsets] == sizes
    assert {e.target for e in subsets[0]} == set(labels), "no label is lacking"
    for size, subset in zip(sizes[1:], subsets[1:], strict=True):
        for label, share in (("neutral", 0.6), ("positive", 0.3), ("negative", 0.1)):
            assert abs(sum(e.target == label for e in subset) - share * size) <= 1
    assert subsets[-1] == examples, "in input order"
    assert learning_subset(examples, 20, seed=0) == subsets[2]
    assert learning_subset(examples, 20, seed=1) != subsets[2]
    with pytest.raises(DataError, match="101 of a train part of 100"):
        learning_subset(examples, 101, seed=0)


@pytest.mark.parametrize("by", ["near-duplicates", "stratified", "random", "group", "time"])
@pytest.mark.parametrize("folds", [0, 3])
def test_examples_of_one_row_stay_on_one_side(by: str, folds: int) -> None:
    rows = [
        Example(
            f"f:{i}#{j}", {"text": f"text {i}", "entity": f"{j}"}, "ab"[(i + j) % 2], row=f"f:{i}", group=f"g{i % 20}",
            date=f"2024-01-{1 + i % 28:02d}", stratum="ab"[(i + j) % 2],
        )
        for i in range(120) for j in range(1 + i % 3)
    ]  # fmt: skip
    parts = divide(rows, Plan(by, FRACTIONS, folds=folds), groups=np.arange(len(rows)))
    sides: dict[str, set[str]] = {}
    for name, part in parts.items():
        for e in part:
            sides.setdefault(e.row, set()).add(name)
    assert all(len(names) == 1 for names in sides.values())
    assert all(parts.values())

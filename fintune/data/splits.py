"""Examples to train, validation and test: by near-duplicate cluster, at random, by group, by time; whole or in folds.

Example:
    plan = Plan("near-duplicates", {"train": 0.7, "validation": 0.1, "test": 0.2}, seed=0)
    [len(part) for part in divide(examples, plan, groups=clusters([e.text for e in examples])).values()]
    # [1581, 226, 452]

Clusters come from quality/duplicates.py; quality/reaching.py parts them where a label would miss a part; prepare.py joins all three.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fintune.data.dates import as_dates
from fintune.errors import DataError
from fintune.records import Example

Parts = dict[str, list[Example]]
WAYS = ("near-duplicates", "stratified", "random", "group", "time")
"""The ways to split that `data.split.by` may name."""


@dataclass(frozen=True)
class Splits:
    """Which example is where, and a hash that changes when texts, labels or the assignment do."""

    parts: Parts
    fingerprint: str

    def __getitem__(self, name: str) -> list[Example]:
        return self.parts[name]


@dataclass(frozen=True)
class Plan:
    """How examples are divided: `shares` by part, in order; with `folds`, validation is fold number `fold` of what test leaves.

    Test is the same with folds and without.
    """

    by: str
    shares: Mapping[str, float]
    seed: int = 0
    folds: int = 0
    fold: int = 0
    date_format: str | Sequence[str] | None = None


def divide(examples: Sequence[Example], plan: Plan, *, groups: NDArray[np.int64] | None = None) -> Parts:
    """Parts by name, each in input order. `groups` (near-duplicate clusters), shape `(n,)`, is used by "near-duplicates".

    Raises DataError when a date or group is missing.
    """
    whole = _divide(examples, plan, plan.shares, groups)
    if not plan.folds:
        return whole
    held = {name: part for name, part in whole.items() if name == "test"}
    outside = {id(e) for part in held.values() for e in part}
    rest = [e for e in examples if id(e) not in outside]
    inside = None if groups is None else groups[_positions(examples, rest)]
    return _fold(rest, plan, inside) | held


def learning_subset(examples: Sequence[Example], size: int, seed: int) -> list[Example]:
    """`size` examples in input order, their strata in proportion; of one seed, smaller subsets lie within larger ones.

    Every stratum's first example comes first, so that a subset of as many examples as strata lacks none. Raises DataError when
    there are fewer than `size`.
    """
    if size > len(examples):
        raise DataError(
            f"data.split.train_examples: {size:,} of a train part of {len(examples):,}", hint="Give at most that many."
        )
    places: dict[str | None, list[int]] = {}
    for i in np.random.default_rng(seed).permutation(len(examples)).tolist():
        places.setdefault(examples[i].stratum, []).append(i)
    turns = {
        i: (turn > 0, (turn + 0.5) / len(members)) for members in places.values() for turn, i in enumerate(members)
    }
    return [examples[i] for i in sorted(sorted(turns, key=lambda i: turns[i])[:size])]


def fingerprint(parts: Mapping[str, Sequence[Example]]) -> str:
    """Hash of texts, gold answers and assignment, independent of row order and file names; 16 hex digits."""
    lines = sorted(json.dumps([name, e.target, e.text]) for name, part in parts.items() for e in part)
    digest = hashlib.sha256()
    for i, line in enumerate(lines):
        digest.update(f"\n{line}".encode() if i else line.encode())
    return digest.hexdigest()[:16]


def _divide(
    examples: Sequence[Example], plan: Plan, shares: Mapping[str, float], groups: NDArray[np.int64] | None
) -> Parts:
    if plan.by == "time":
        return _by_time(examples, shares, plan.date_format)
    if plan.by == "random" and not any(example.row for example in examples):
        return _cut(examples, np.random.default_rng(plan.seed).permutation(len(examples)), shares)
    return _whole_groups(examples, _groups(examples, plan.by, groups), shares, plan.seed)


def _fold(rest: Sequence[Example], plan: Plan, groups: NDArray[np.int64] | None) -> Parts:
    """Train and validation. By time the window grows: fold i learns from the i + 1 oldest of folds + 1 blocks."""
    count = plan.folds + (plan.by == "time")
    names = [str(i) for i in range(count)]
    blocks = _divide(rest, plan, dict.fromkeys(names, 1 / count), groups)
    chosen = str(plan.fold + (plan.by == "time"))
    learned = {name for name in names if name != chosen and (plan.by != "time" or int(name) < int(chosen))}
    inside = {id(e) for name in learned for e in blocks[name]}
    return {"train": [e for e in rest if id(e) in inside], "validation": blocks[chosen]}


def _positions(examples: Sequence[Example], some: Sequence[Example]) -> NDArray[np.int64]:
    inside = {id(e) for e in some}
    return np.array([i for i, e in enumerate(examples) if id(e) in inside], dtype=np.int64)


def _groups(examples: Sequence[Example], by: str, groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    if by == "near-duplicates" and groups is not None:
        return _with_rows(examples, groups)
    if by != "group":
        return _with_rows(examples, np.arange(len(examples)))
    numbers: dict[str, int] = {}
    for e in examples:
        if not e.group:
            raise DataError(f"{e.id}: no group", hint="Set data.group_column to a column that every row fills.")
        numbers.setdefault(e.group, len(numbers))
    return np.array([numbers[e.group or ""] for e in examples], dtype=np.int64)


def _with_rows(examples: Sequence[Example], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return groups in which those that share a row of the file are one."""
    if not any(example.row for example in examples):
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = int(groups.max()) + 1
    first: dict[str, int] = {}
    joined = [
        first.setdefault(e.row, group) if e.row else group for e, group in zip(examples, groups.tolist(), strict=True)
    ]
    links = coo_array((np.ones(len(joined)), (groups, np.array(joined))), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)[groups]


def _whole_groups(
    examples: Sequence[Example], groups: NDArray[np.int64], shares: Mapping[str, float], seed: int
) -> Parts:
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    blocks = list(members.values())
    order = np.random.default_rng(seed).permutation(len(blocks))
    by_size = sorted(order.tolist(), key=lambda i: -len(blocks[i]))
    lacking = _targets(examples, shares)
    chosen: dict[str, list[int]] = {name: [] for name in shares}
    for i in by_size:
        wanted = Counter(examples[j].stratum for j in blocks[i])
        part = max(shares, key=lambda name: sum(n * lacking[name][label] for label, n in wanted.items()))
        chosen[part] += blocks[i]
        lacking[part].subtract(wanted)
    return {name: [examples[j] for j in sorted(places)] for name, places in chosen.items()}


def _targets(examples: Sequence[Example], shares: Mapping[str, float]) -> dict[str, Counter[str | None]]:
    """Rows of each stratum that each part still lacks (fractional counts)."""
    counts = Counter(example.stratum for example in examples)
    wanted = {name: {label: n * share for label, n in counts.items()} for name, share in shares.items()}
    return {name: Counter(share) for name, share in wanted.items()}


def _by_time(
    examples: Sequence[Example], shares: Mapping[str, float], date_format: str | Sequence[str] | None
) -> Parts:
    """Oldest first into the first part; rows of one moment stay together, in the earlier part."""
    dates = as_dates(examples, date_format)
    if np.isnat(dates).any():
        first = examples[int(np.isnat(dates).argmax())]
        raise DataError(f"{first.id}: no date", hint="Set data.date_column and data.date_format.")
    order = np.argsort(dates, kind="stable")
    return _cut(examples, order, shares, dates)


def _cut(
    examples: Sequence[Example],
    order: NDArray[np.int64],
    shares: Mapping[str, float],
    dates: "NDArray[np.datetime64] | None" = None,
) -> Parts:
    parts: Parts = {}
    start, reached = 0, 0.0
    for name, share in shares.items():
        reached += share
        stop = round(reached * len(order))
        while dates is not None and 0 < stop < len(order) and dates[order[stop]] == dates[order[stop - 1]]:
            stop += 1
        stop = max(start, stop)
        parts[name] = [examples[i] for i in sorted(order[start:stop].tolist())]
        start = stop
    return parts

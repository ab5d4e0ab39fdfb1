"""Labels, or examples where there are none, that reach every part: clusters that hold too much of one are told apart by their
numbers, or the cause is named.

Texts that differ in numbers alone, as bookings do, are near-duplicates of each other. Where that leaves a part without a
label, the clusters concerned are formed anew with numbers as words; a finding says so and the twins are counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fintune.data.quality.duplicates import clusters
from fintune.data.splits import Parts, Plan, divide
from fintune.records import Example

Groups = NDArray[np.int64]

_CAUSES = {
    "near-duplicates": (
        "its {n:,} rows are nearly the same texts, which stay on one side",
        "Set data.split.by: stratified (twins on two sides are then counted), or group with a data.group_column.",
    ),
    "group": (
        "its {n:,} rows stand in too few groups",
        "Choose another data.group_column, or data.split.by: stratified.",
    ),
    "time": (
        "its {n:,} rows lie on one side in time",
        "Move the shares of data.split, or choose data.split.by: stratified.",
    ),
}


FEWEST_EXAMPLES = 10
"""Examples below which nothing is split."""


def labels_present(examples: Iterable[Example]) -> Counter[str]:
    """Return how many examples there are of each label; of "" where a task has none."""
    return Counter(e.stratum if e.stratum is not None else "" for e in examples)


def lacking(labels: Sequence[str], part: Sequence[Example]) -> list[str]:
    """Return the labels that a part has no example of; where there are no labels, "" for a part without any example."""
    present = labels_present(part)
    return [label for label in labels if label not in present] if labels else [] if part else [""]


def divide_all_labels(examples: Sequence[Example], plan: Plan, groups: Groups) -> Parts:
    """As divide; where clusters keep a label from a part, those are told apart by their numbers, if that helps."""
    parts = divide(examples, plan, groups=groups)
    if plan.by != "near-duplicates" or not (missed := unreached(examples, parts)):
        return parts
    again = divide(examples, plan, groups=_told_apart(examples, groups, missed, min(plan.shares.values())))
    return parts if unreached(examples, again) else again


def unreached(examples: Sequence[Example], parts: Mapping[str, Sequence[Example]]) -> list[str]:
    """Labels that a part lacks although there are enough rows for all parts."""
    counts = labels_present(examples)
    present = [labels_present(part) for part in parts.values()]
    return [label for label, n in counts.items() if n >= len(parts) and not all(label in part for part in present)]


def cause(label: str, parts: Mapping[str, Sequence[Example]], by: str, share: float = 1.0) -> tuple[str, str]:
    """Why a part of that share lacks a label, and what to do about it; empty where there are too few rows of it anyway."""
    n = sum(labels_present(part)[label] for part in parts.values())
    if n < len(parts):
        return "", ""
    if n * share < 1:
        return f"{share:g} of its {n:,} rows is less than one", "Raise the part's share in data.split."
    why, way_out = _CAUSES.get(by, ("", ""))
    return why.format(n=n), way_out


def parted(parts: Mapping[str, Sequence[Example]], kept: Sequence[Example], groups: Groups) -> list[str]:
    """Ids of the rows outside train whose cluster stands in another part too."""
    cluster = {id(e): group for e, group in zip(kept, groups.tolist(), strict=True)}
    sides: dict[int, set[str]] = {}
    for name, part in parts.items():
        for e in part:
            sides.setdefault(cluster[id(e)], set()).add(name)
    return [e.id for name, part in parts.items() if name != "train" for e in part if len(sides[cluster[id(e)]]) > 1]


def _told_apart(examples: Sequence[Example], groups: Groups, labels: Sequence[str], share: float) -> Groups:
    """Clusters anew, numbers as words, where one holds more of a label than the smallest part should."""
    counts = labels_present(examples)
    held = Counter(
        (group, e.stratum if e.stratum is not None else "") for group, e in zip(groups.tolist(), examples, strict=True)
    )
    large = {group for (group, name), n in held.items() if name in labels and n > max(1.0, share * counts[name])}
    inside = np.flatnonzero(np.isin(groups, list(large)))
    apart = groups.copy()
    if len(inside):
        apart[inside] = groups.max() + 1 + clusters([examples[i].text for i in inside.tolist()], numbers=True)
    return apart

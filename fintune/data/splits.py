"""Examples to train, validation and test, so that near-duplicates stay together and every label keeps its share.

>>> splits = split(examples, clusters([e.text for e in examples]), {"train": 0.7, "validation": 0.1, "test": 0.2}, seed=0)
>>> [len(part) for part in splits.parts.values()]
[1581, 226, 452]
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fintune.records import Example


@dataclass(frozen=True)
class Splits:
    """Which example is where, and a hash that changes when texts, labels or the assignment do."""

    parts: dict[str, list[Example]]
    fingerprint: str

    def __getitem__(self, name: str) -> list[Example]:
        return self.parts[name]


def split(
    examples: Sequence[Example], groups: NDArray[np.int64], fractions: Mapping[str, float], *, seed: int
) -> Splits:
    """Assign whole groups, largest first in seeded order, each to the part that most lacks its labels.

    `groups` has shape `(n,)`; examples of one group never part. Order within a part is the input order.
    """
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    blocks = list(members.values())
    order = np.random.default_rng(seed).permutation(len(blocks))
    by_size = sorted(order.tolist(), key=lambda i: -len(blocks[i]))
    lacking = _targets(examples, fractions)
    chosen: dict[str, list[int]] = {name: [] for name in fractions}
    for i in by_size:
        wanted = Counter(examples[j].label for j in blocks[i])
        part = max(fractions, key=lambda name: sum(n * lacking[name][label] for label, n in wanted.items()))
        chosen[part] += blocks[i]
        lacking[part].subtract(wanted)
    parts = {name: [examples[j] for j in sorted(rows)] for name, rows in chosen.items()}
    return Splits(parts, fingerprint(parts))


def fingerprint(parts: Mapping[str, Sequence[Example]]) -> str:
    """Hash of texts, labels and assignment, independent of row order and file names; 16 hex digits."""
    lines = sorted(json.dumps([name, e.label, e.text]) for name, part in parts.items() for e in part)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _targets(examples: Sequence[Example], fractions: Mapping[str, float]) -> dict[str, Counter[str]]:
    """Rows of each label that each part still lacks (fractional counts)."""
    counts = Counter(example.label for example in examples)
    shares = {name: {label: n * share for label, n in counts.items()} for name, share in fractions.items()}
    return {name: Counter(share) for name, share in shares.items()}

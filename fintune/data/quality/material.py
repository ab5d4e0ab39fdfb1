"""What the checks look at: the kept rows, their split, and what was left out; costly views are computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.data.dates import as_dates, moment
from fintune.data.labels import Applied
from fintune.data.quality.cleanup import Dropped, conflicts
from fintune.data.quality.leaks import Leaks, PartExamples, leaks
from fintune.data.quality.reaching import parted
from fintune.data.quality.text import normalized
from fintune.records import Example, Fault


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the checks look at."""

    rows: int
    kept: Sequence[Example]
    parts: PartExamples
    """Examples by part; empty when the data could not be split."""
    groups: NDArray[np.int64]
    """Near-duplicate clusters of `kept`, shape `(n,)`; all different when they were not looked for."""
    labels: Sequence[str]
    """The labels of the task; none where it has no such."""
    given: Sequence[str] = ()
    """Parts that came as files of their own."""
    faults: Sequence[Fault] = ()
    dropped: Sequence[Dropped] = ()
    date_format: str | Sequence[str] | None = None
    by: str = "near-duplicates"
    shares: Mapping[str, float] = field(default_factory=dict)
    """The share of the rows that each part was to have."""
    near_duplicates: bool = True
    """Whether near-duplicates are looked for."""
    samples: Mapping[str, list[str]] = field(default_factory=dict)
    label_map: Applied = field(default_factory=dict)
    """How `data.label_map` was applied: rows that met each of its keys."""
    sources: Sequence[Mapping[str, Any]] = ()
    """The sources as data.json records them."""

    @cached_property
    def leaks(self) -> dict[str, Leaks]:
        """Rows of each other part that stand in train, or in validation; no search for twins where clusters never part."""
        together = self.by == "near-duplicates" and not self.given and not self.parted
        return leaks(self.parts, self.conflicts.keys(), searched=self.near_duplicates and not together)

    @property
    def twins(self) -> dict[str, int]:
        """Rows of each other part with a near-duplicate in train; empty where they are not looked for."""
        if "train" not in self.parts or not self.near_duplicates:
            return {}
        return {name: len(leaks.train) for name, leaks in self.leaks.items()}

    @cached_property
    def split_off(self) -> PartExamples:
        """Train and the parts that are not given."""
        return {name: part for name, part in self.parts.items() if name == "train" or name not in self.given}

    @cached_property
    def parted(self) -> list[str]:
        """Rows whose cluster stands on several sides of a split that keeps clusters together where it can."""
        return parted(self.split_off, self.kept, self.groups) if self.by == "near-duplicates" else []

    @cached_property
    def dates(self) -> dict[str, "NDArray[np.datetime64]"]:
        """Moments of each part's rows, NaT where there is none; empty when no row has a date."""
        if not any(e.date is not None for e in self.kept):
            return {}
        return {name: as_dates(part, self.date_format) for name, part in self.parts.items() if part}

    @cached_property
    def undated(self) -> list[str]:
        """Rows whose date is missing or of another form, when some have one."""
        if not any(e.date is not None for e in self.kept):
            return []
        return [e.id for e in self.kept if moment(e.date, self.date_format) is None]

    @cached_property
    def conflicts(self) -> dict[str, str]:
        """The first row of each text that bears several labels, by its normalized text."""
        keys = [normalized(e.text) for e in self.kept]
        several = conflicts(self.kept, keys)
        first: dict[str, str] = {}
        for e, key in zip(self.kept, keys, strict=True):
            if key in several:
                first.setdefault(key, e.id)
        return first

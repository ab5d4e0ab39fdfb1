"""Rows of a part that a model may know: they stand in train, or in validation, by which its epoch was chosen.

Example:
    leaks(parts, searched=True)["test"].train
    # ['test.csv:17']
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from fintune.data.quality.duplicates import twins
from fintune.data.quality.text import normalized
from fintune.records import Example

PartExamples = Mapping[str, Sequence[Example]]
_BEFORE = ("train", "validation")
"""Parts that a model has learned from, or was chosen by; a part is compared with those before it."""


@dataclass(frozen=True)
class Leaks:
    """Ids of a part's rows, in order."""

    train: Sequence[str] = field(default_factory=list)
    """Ids of rows that stand in train, word by word or as near-duplicates."""
    validation: Sequence[str] = field(default_factory=list)
    """Ids of rows that stand in validation."""
    conflicts: Sequence[str] = field(default_factory=list)
    """Ids of rows whose text bears another label elsewhere in the data."""

    @property
    def known(self) -> frozenset[str]:
        """Rows that are not new to the model."""
        return frozenset(self.train) | frozenset(self.validation)

    def record(self) -> dict[str, list[str]]:
        """For data.json: what is not empty."""
        return {name: list(ids) for name, ids in asdict(self).items() if ids}


def leaks(parts: PartExamples, conflicting: Collection[str] = (), *, searched: bool) -> dict[str, Leaks]:
    """Of every part but train; `conflicting`: normalized texts that bear several labels.

    `searched`: look for near-duplicates too; without, only texts that are equal word by word are found.
    """
    known = {}
    for name, part in parts.items():
        if name == "train":
            continue
        before = [other for other in _BEFORE if other != name and other in parts]
        ids = {other: stands_in(part, parts[other], searched=searched) for other in before}
        known[name] = Leaks(**ids, conflicts=[e.id for e in part if normalized(e.text) in conflicting])
    return known


def stands_in(examples: Sequence[Example], others: Sequence[Example], *, searched: bool = True) -> list[str]:
    """Ids of the examples whose text stands among the others, word by word or, where `searched`, nearly so."""
    words = {normalized(e.text) for e in others} - {""}
    near = twins([e.text for e in examples], [e.text for e in others]).tolist() if searched else [False] * len(examples)
    return [e.id for e, twin in zip(examples, near, strict=True) if twin or normalized(e.text) in words]

"""Clean-up that is asked for by name in `data.drop`; what goes is counted and said why, nothing goes silently.

To add a kind: write a function from examples to reasons, put it into DROPS; the config and the docs follow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from fintune.data.quality.duplicates import clusters
from fintune.data.quality.text import is_header, is_mojibake, normalized
from fintune.records import Answer, Example, FaultKind


@dataclass(frozen=True)
class Dropped:
    """A row that was left out: a line of dropped.jsonl."""

    id: str
    reason: str
    text: str
    label: str

    def record(self) -> dict[str, str]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Drop:
    """A kind of row that can be left out: `find` gives a reason by place."""

    name: str
    summary: str
    find: Callable[[Sequence[Example]], Mapping[int, str]]


def _exact_duplicates(examples: Sequence[Example]) -> dict[int, str]:
    first: dict[tuple[str, Answer | None], str] = {}
    reasons = {}
    for i, e in enumerate(examples):
        if (earlier := first.setdefault((e.text, e.target), e.id)) != e.id:
            reasons[i] = f"same text and answer as {earlier}"
    return reasons


def _conflicts(examples: Sequence[Example]) -> dict[int, str]:
    keys = [normalized(e.text) for e in examples]
    labels = conflicts(examples, keys)
    return {i: f"its text has the labels {', '.join(sorted(labels[k]))}" for i, k in enumerate(keys) if k in labels}


def _near_duplicates(examples: Sequence[Example]) -> dict[int, str]:
    first: dict[int, Example] = {}
    reasons = {}
    for i, (e, cluster) in enumerate(zip(examples, clusters([e.text for e in examples]).tolist(), strict=True)):
        if (earlier := first.setdefault(cluster, e)) is not e and not (e.row and e.row == earlier.row):
            reasons[i] = f"near-duplicate of {earlier.id}" + (
                "" if earlier.target == e.target else f", which is {earlier.target}"
            )
    return reasons


def _where(test: Callable[[str], bool], reason: str) -> Callable[[Sequence[Example]], dict[int, str]]:
    return lambda examples: {i: reason for i, e in enumerate(examples) if test(e.text)}


DROPS: dict[str, Drop] = {
    d.name: d
    for d in (
        Drop("empty", "rows without text", _where(lambda text: not text, "no text")),
        Drop("headers", "rows that repeat a header line", _where(is_header, "a header line")),
        Drop("mojibake", "texts decoded with the wrong encoding", _where(is_mojibake, "wrongly decoded characters")),
        Drop("exact-duplicates", "later rows of the same text and label", _exact_duplicates),
        Drop("conflicts", "all rows of a text that has several labels", _conflicts),
        Drop("near-duplicates", "all but the first of each cluster of near-duplicates", _near_duplicates),
    )
}
FAULTS: tuple[FaultKind, ...] = ("unreadable", "unknown-label", "tied-votes", "non-text", "bad-date")
"""Kinds of Fault that `data.drop` may name as well: rows that cannot become examples."""
LEAKS = "leaks"
"""Rows of train with a near-duplicate in a given validation or test file."""


def clean(examples: Sequence[Example], kinds: Sequence[str]) -> tuple[list[Example], list[Dropped]]:
    """Return what stays, in order, and what goes, in the order of DROPS."""
    kept, dropped = list(examples), []
    for name, drop in DROPS.items():
        if name in kinds:
            reasons = drop.find(kept)
            dropped += [
                Dropped(kept[i].id, f"{name}: {why}", kept[i].text, str(kept[i].target)) for i, why in reasons.items()
            ]
            kept = [e for i, e in enumerate(kept) if i not in reasons] if reasons else kept
    return kept, dropped


def conflicts(examples: Sequence[Example], keys: Sequence[str]) -> dict[str, set[str]]:
    """Return the labels of each text that has several; `keys` are normalized texts, so that case and punctuation do not count.

    Texts of punctuation alone (key "") are not compared.
    """
    first: dict[str, str] = {}
    labels: dict[str, set[str]] = {}
    for example, key in zip(examples, keys, strict=True):
        own = example.stratum
        if key and own is not None and (label := first.setdefault(key, own)) != own:
            labels.setdefault(key, {label}).add(own)
    return labels

"""Two files side by side: shared texts, near twins, and the labels that shared texts bear in each, which shows a swapped map.

Texts are compared after NFKC and case folding, words only. What all texts of a file begin or end with (a prompt
around each of them) is taken off first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fintune.data.quality.duplicates import twins
from fintune.data.quality.findings import Finding, share_level
from fintune.data.quality.text import normalized
from fintune.records import Row

_TEMPLATE = 15
"""Characters that all texts must share at an end to count as a prompt."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What a file shares with another."""

    other: str
    shared: int
    """Distinct texts of this file that stand in the other."""
    distinct: int
    twins: int
    """Distinct texts of this file with a near-duplicate in the other, the shared ones included."""
    inside: bool
    """Whether the whole of one file stands in the other."""
    labels: dict[str, dict[str, int]]
    """Shared rows by the label here, then by the label there."""
    findings: list[Finding]
    rows: int
    """Rows of the other file that were read."""
    unread: int = 0
    """Records of the other file that could not be read."""


def compare(here: Sequence[Row], there: Sequence[Row], other: str) -> Overlap:
    """Compare the rows of two files; labels may be missing."""
    bare, bare_there = (without_template([row.text for row in rows]) for rows in (here, there))
    mine, theirs = [normalized(text) for text in bare], [normalized(text) for text in bare_there]
    labels_there: dict[str, set[str]] = {}
    for row, text in zip(there, theirs, strict=True):
        if row.target is not None:
            labels_there.setdefault(text, set()).add(row.target)
    known = set(theirs)
    shared = [(row, text) for row, text in zip(here, mine, strict=True) if text in known]
    table: dict[str, Counter[str]] = {}
    for row, text in shared:
        for label in labels_there.get(text, ()):
            table.setdefault(row.target or "", Counter())[label] += 1
    distinct = dict(zip(mine, bare, strict=True))
    texts = {text for _, text in shared}
    near = int(twins(list(distinct.values()), bare_there).sum())
    inside = len(texts) in (len(distinct), len(known)) and bool(texts)
    plain = {label: dict(counts.most_common()) for label, counts in sorted(table.items())}
    return Overlap(
        other=other,
        shared=len(texts),
        distinct=len(distinct),
        twins=near,
        inside=inside,
        labels=plain,
        findings=_overlap(shared, len(texts), len(distinct), other) + swaps(plain, other),
        rows=len(there),
    )


def swaps(table: dict[str, dict[str, int]], other: str) -> list[Finding]:
    """Labels that shared texts mostly bear under another name than their own."""
    labels = {label for counts in table.values() for label in counts}
    findings = []
    for label, counts in table.items():
        total, best = sum(counts.values()), max(counts, key=lambda name: counts[name])
        if best != label and label in labels and counts[best] > total / 2:
            message = (
                f"'{label}' here is '{best}' in {other} on {counts[best]:,} of {total:,} shared rows: a swapped map?"
            )
            findings.append(Finding("labels-differ", "severe", counts[best], message))
    return findings


def without_template(texts: Sequence[str]) -> list[str]:
    """Texts without what all of them begin and end with, where that is long enough to be a prompt."""
    distinct = set(texts)
    if len(distinct) < 3:
        return list(texts)
    before = _shared_start(min(distinct), max(distinct))
    backwards = [text[::-1] for text in distinct]
    after = _shared_start(min(backwards), max(backwards))
    if len(before) < _TEMPLATE:
        return list(texts)
    return [text[len(before) : len(text) - len(after)] for text in texts]


def _shared_start(one: str, other: str) -> str:
    """Of the first and the last in order: what all between them begin with."""
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]


def _overlap(shared: Sequence[tuple[Row, str]], count: int, distinct: int, other: str) -> list[Finding]:
    if not shared:
        return []
    share = f"{count:,} of {distinct:,} distinct texts ({count / distinct:.1%}) stand in {other} too"
    return [Finding("overlap", share_level(count, distinct, 0.01), count, share, [row.id for row, _ in shared[:5]])]

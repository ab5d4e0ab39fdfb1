"""What was found in the data before anything is trained: counts a reader can check against the source, and findings.

To add a check: write a function from Material to findings, put it into CHECKS; `fintune check`, its JSON and every run's
DataReport follow.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

import numpy as np
from numpy.typing import NDArray

from fintune.data.cleanup import Dropped, conflicts
from fintune.data.dates import as_dates
from fintune.data.duplicates import PREFILTER_FROM, prefiltered, twins
from fintune.data.findings import Finding, by_weight, finding, share_level
from fintune.data.text_quality import is_dictionary, is_header, is_mojibake, normalised, parses
from fintune.records import Example, Fault

Parts = Mapping[str, Sequence[Example]]


@dataclass(frozen=True)
class Material:
    """What the checks look at."""

    rows: int
    kept: Sequence[Example]
    parts: Parts
    """empty when the data could not be split"""
    groups: NDArray[np.int64]
    """near-duplicate clusters of `kept`, shape `(n,)`; all different when they were not looked for"""
    labels: Sequence[str]
    """the task's"""
    given: Sequence[str] = ()
    """parts that came as files of their own"""
    faults: Sequence[Fault] = ()
    dropped: Sequence[Dropped] = ()
    date_format: str | Sequence[str] | None = None
    by: str = "near-duplicates"
    near_duplicates: bool = True
    """whether they are looked for"""
    samples: Mapping[str, list[str]] = field(default_factory=dict)

    @cached_property
    def twins(self) -> dict[str, int]:
        """Rows of each other part with a near-duplicate in train; 0 without a search where clusters never part."""
        others = [name for name in self.parts if name != "train"]
        if "train" not in self.parts or not self.near_duplicates:
            return {}
        if self.by == "near-duplicates" and not self.given:
            return dict.fromkeys(others, 0)
        train = [e.text for e in self.parts["train"]]
        return {name: int(twins([e.text for e in self.parts[name]], train).sum()) for name in others}

    @cached_property
    def dates(self) -> dict[str, "NDArray[np.datetime64]"]:
        """Moments of each part's rows; none unless every row has one."""
        if not self.kept or not all(e.date for e in self.kept):
            return {}
        return {name: as_dates(part, self.date_format) for name, part in self.parts.items() if part}

    @cached_property
    def conflicts(self) -> dict[str, str]:
        """The first row of each text that bears several labels, by its normalised text."""
        keys = [normalised(e.text) for e in self.kept]
        several = conflicts(self.kept, keys)
        first: dict[str, str] = {}
        for e, key in zip(self.kept, keys, strict=True):
            if key in several:
                first.setdefault(key, e.id)
        return first


@dataclass(frozen=True)
class DataReport:
    """Counts over the sources of a run; stored as `report` in data.json."""

    rows: int
    """records read, before anything was dropped"""
    unusable: int
    """records that could not become examples"""
    empty_texts: int
    exact_duplicates: int
    """rows whose text and label stood there before, dropped or not"""
    conflicting_texts: int
    """texts that carry more than one label"""
    near_duplicate_rows: int
    """rows that share a cluster with another row"""
    near_duplicate_clusters: int
    labels: dict[str, int]
    """kept rows of each label"""
    median_words: float
    longest_words: int
    parts: dict[str, dict[str, int]]
    """kept rows of each label in each part of the split"""
    dropped: dict[str, int] = field(default_factory=dict)
    """rows left out, by reason"""
    tokens: dict[str, float] = field(default_factory=dict)
    """lengths of prompt and answer: median, longest, share over model.max_length, texts looked at; empty when not counted"""
    twins_in_train: dict[str, int] = field(default_factory=dict)
    """rows of each other part with a near-duplicate in train"""
    dates: dict[str, list[str]] = field(default_factory=dict)
    """earliest and latest date of each part"""
    label_samples: dict[str, list[str]] = field(default_factory=dict)
    """where labels are numbers: a few texts of each, to compare with the chosen names"""
    findings: list[Finding] = field(default_factory=list)
    """the worst first"""


def report(material: Material) -> DataReport:
    """Count and check."""
    kept = material.kept
    sizes = np.bincount(material.groups) if len(kept) else np.zeros(0, dtype=np.int64)
    words = [len(example.text.split()) for example in kept] or [0]
    reasons = Counter(d.reason.partition(":")[0] for d in material.dropped)
    repeated = len(kept) - len({(e.text, e.label) for e in kept})
    return DataReport(
        rows=material.rows,
        unusable=len(material.faults),
        empty_texts=reasons["empty"] + sum(not e.text for e in kept),
        exact_duplicates=reasons["exact-duplicates"] + repeated,
        conflicting_texts=len(material.conflicts),
        near_duplicate_rows=int(sizes[sizes > 1].sum()),
        near_duplicate_clusters=int((sizes > 1).sum()),
        labels=dict(Counter(e.label for e in kept).most_common()),
        median_words=median(words),
        longest_words=max(words),
        parts={name: dict(Counter(e.label for e in part).most_common()) for name, part in material.parts.items()},
        dropped=dict(reasons.most_common()),
        twins_in_train=material.twins,
        dates={name: [str(found.min()), str(found.max())] for name, found in material.dates.items()},
        label_samples=dict(material.samples),
        findings=by_weight(f for check in CHECKS.values() for f in check(material)),
    )


def _unusable(m: Material) -> list[Finding]:
    found = []
    for kind in dict.fromkeys(fault.kind for fault in m.faults):
        these = [fault for fault in m.faults if fault.kind == kind]
        first = f"; the first: {these[0].problem}"
        found += finding(kind, "severe", "{n} rows " + _FAULTS[kind] + first, [fault.where for fault in these])
    return found


_FAULTS = {
    "unreadable": "cannot be read",
    "unknown-label": "bear a label that is not the task's",
    "non-text": "hold no text in the text column",
}


def _empty(m: Material) -> list[Finding]:
    return finding("empty", "severe", "{n} rows without text", [e.id for e in m.kept if not e.text])


def _headers(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_header(e.text)]
    return finding("headers", "warning", "{n} rows look like a header line; data.drop: [headers] leaves them out", rows)


def _mojibake(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_mojibake(e.text)]
    level = share_level(len(rows), len(m.kept), 0.05)
    return finding("mojibake", level, "{n} texts hold wrongly decoded characters; check data.encoding", rows)


def _dictionaries(m: Material) -> list[Finding]:
    labels = [(f.where, f.value) for f in m.faults if is_dictionary(f.value)]
    labels += [(e.id, e.label) for e in m.kept if is_dictionary(e.label)]
    broken = [where for where, label in labels if not parses(label)]
    message = "{n} labels are dictionaries or lists: more than one label a text"
    return finding("label-dictionaries", "warning", message, [where for where, _ in labels]) + finding(
        "label-dictionaries-broken", "severe", "{n} labels are dictionaries or lists that do not parse", broken
    )


def _exact(m: Material) -> list[Finding]:
    first: dict[tuple[str, str], str] = {}
    rows = [e.id for e in m.kept if first.setdefault((e.text, e.label), e.id) != e.id]
    return finding("exact-duplicates", "warning", "{n} rows repeat an earlier one; data.drop: [exact-duplicates]", rows)


def _conflicts(m: Material) -> list[Finding]:
    level = share_level(len(m.conflicts), len(m.kept), 0.01)
    message = "{n} texts bear several labels; data.drop: [conflicts] leaves them out"
    return finding("conflicts", level, message, list(m.conflicts.values()))


def _balance(m: Material) -> list[Finding]:
    counts = Counter(e.label for e in m.kept)
    most = max(counts.values(), default=0)
    rare = [label for label in m.labels if 0 < counts[label] * 20 < most]
    message = "{n} labels are more than 20 times rarer than another; see train.class_weights and train.sampling: "
    return finding("imbalance", "warning", message + ", ".join(rare), rare)


def _missing(m: Material) -> list[Finding]:
    found = []
    for name, part in m.parts.items():
        present = {e.label for e in part}
        lacking = [label for label in m.labels if label not in present]
        found += finding("label-missing", "severe", f"no example in the {name} part of: {', '.join(lacking)}", lacking)
    return found


def _overlaps(m: Material) -> list[Finding]:
    """Texts that stand in two parts: only files that were given, or a split that ignores duplicates, can have them."""
    found: list[Finding] = []
    names = list(m.parts)
    for i, name in enumerate(names):
        for other in names[i + 1 :]:
            texts = {normalised(e.text) for e in m.parts[name]}
            rows = [e.id for e in m.parts[other] if normalised(e.text) in texts]
            found += finding("overlap", "severe", f"{{n}} rows of {other} stand in {name} too, word by word", rows)
    return found


def _leaks(m: Material) -> list[Finding]:
    found = []
    for name, count in m.twins.items():
        if count:
            total = len(m.parts[name])
            message = f"{count:,} of {total:,} rows of {name} ({count / total:.1%}) have a near-duplicate in train"
            found.append(Finding("leaks", share_level(count, total, 0.01), count, message))
    return found


def _prefilter(m: Material) -> list[Finding]:
    if not m.near_duplicates or not prefiltered([e.text for e in m.kept]):
        return []
    message = f"more than {PREFILTER_FROM:,} texts: near-duplicates were found through MinHash, which misses at most 1 pair in 1,000"
    return [Finding("prefilter", "note", len(m.kept), message)]


def _look_ahead(m: Material) -> list[Finding]:
    if not {"train", "test"} <= m.dates.keys():
        return []
    first = m.dates["test"].min()
    rows = [e.id for e, late in zip(m.parts["train"], (m.dates["train"] > first).tolist(), strict=True) if late]
    message = (
        f"{{n}} rows of train are later than the earliest of test ({first}): looking ahead; see data.split.by: time"
    )
    return finding("look-ahead", "warning", message, rows)


CHECKS: dict[str, Callable[[Material], list[Finding]]] = {
    "unusable": _unusable,
    "empty": _empty,
    "headers": _headers,
    "mojibake": _mojibake,
    "label-dictionaries": _dictionaries,
    "exact-duplicates": _exact,
    "conflicts": _conflicts,
    "imbalance": _balance,
    "label-missing": _missing,
    "overlap": _overlaps,
    "leaks": _leaks,
    "prefilter": _prefilter,
    "look-ahead": _look_ahead,
}


def token_lengths(lengths: Sequence[int], max_length: int) -> dict[str, float]:
    """The report's `tokens`."""
    if not len(lengths):
        return {}
    counts = np.asarray(lengths)
    over = float((counts > max_length).mean())
    return {
        "median": float(np.median(counts)),
        "longest": float(counts.max()),
        "over_limit": over,
        "looked_at": float(len(counts)),
    }


def label_samples(rows: Sequence[Example], mapping: Mapping[str, str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Three texts of each label that a number stands for, by data.label_map or for want of a name."""
    names = {new: f"{old} = {new}" for old, new in mapping.items() if _is_number(old)}
    names |= {label: f"{label} (no name: see data.label_map)" for label in labels if _is_number(label)}
    found = {}
    for label, shown in names.items():
        texts = [e.text for e in rows if e.label == label]
        found[shown] = [text[:100] for text in texts[:: max(1, len(texts) // 3)][:3]]
    return found


def _is_number(label: str) -> bool:
    return label.removeprefix("-").isdigit()

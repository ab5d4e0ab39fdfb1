"""What was found in the data before anything is trained: counts a reader can check against the source, and findings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from fintune.data.labels import Applied
from fintune.data.quality.checks import CHECKS
from fintune.data.quality.findings import Finding, by_weight
from fintune.data.quality.material import Material
from fintune.records import Example, strata
from fintune.runtime.scripts import lacks_blanks

TRAIN_MEAN = "mean of train"


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """Counts over the sources of a run; stored as `report` in data.json."""

    rows: int
    """Records read, before anything was dropped."""
    unusable: int
    """Records that could not become examples."""
    empty_texts: int
    exact_duplicates: int
    """Rows whose text and label stood there before, dropped or not."""
    conflicting_texts: int
    """Texts that carry more than one label."""
    near_duplicate_rows: int
    """Rows that share a cluster with another row."""
    near_duplicate_clusters: int
    labels: dict[str, int]
    """Kept rows of each label; empty where the task has none."""
    median_words: float | None
    """The median of words between blanks; None where most of the script has no blanks between words."""
    longest_words: int | None
    parts: dict[str, dict[str, int]]
    """Kept rows of each label in each part of the split."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Kept rows of each part."""
    values: dict[str, float] = field(default_factory=dict)
    """Lowest, mean and highest of the values, where answers are numbers, and the mean of those in train."""
    median_characters: float | None = None
    """The median of characters, where most of the script has no blanks between words."""
    longest_characters: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""
    tokens: dict[str, float] = field(default_factory=dict)
    """Lengths of prompt and answer: median, longest, share over model.max_length, texts looked at; in a check also the share of
    unknown tokens. Empty when they were not counted."""
    twins_in_train: dict[str, int] = field(default_factory=dict)
    """Rows of each other part with a near-duplicate in train."""
    dates: dict[str, list[str]] = field(default_factory=dict)
    """Earliest and latest date of each part."""
    label_map: Applied = field(default_factory=dict)
    """How `data.label_map` was applied: label in the file, label of the task, rows read."""
    label_samples: dict[str, list[str]] = field(default_factory=dict)
    """Where labels are numbers: a few texts of each, to compare with the chosen names."""
    findings: list[Finding] = field(default_factory=list)
    """All that was found wrong, the worst first."""


def report(material: Material) -> DataReport:
    """Count and check."""
    kept = material.kept
    sizes = np.bincount(material.groups) if len(kept) else np.zeros(0, dtype=np.int64)
    texts = [example.text for example in kept]
    unspaced = lacks_blanks(texts)
    lengths = [len(text) if unspaced else len(text.split()) for text in texts] or [0]
    reasons = Counter(d.reason.partition(":")[0] for d in material.dropped)
    repeated = len(kept) - len({(e.text, e.target) for e in kept})
    return DataReport(
        rows=material.rows,
        unusable=len(material.faults),
        empty_texts=reasons["empty"] + sum(not e.text for e in kept),
        exact_duplicates=reasons["exact-duplicates"] + repeated,
        conflicting_texts=len(material.conflicts),
        near_duplicate_rows=int(sizes[sizes > 1].sum()),
        near_duplicate_clusters=int((sizes > 1).sum()),
        labels=dict(strata(kept).most_common()),
        median_words=None if unspaced else median(lengths),
        longest_words=None if unspaced else max(lengths),
        median_characters=median(lengths) if unspaced else None,
        longest_characters=max(lengths) if unspaced else None,
        parts={name: dict(strata(part).most_common()) for name, part in material.parts.items()},
        sizes={name: len(part) for name, part in material.parts.items()},
        values=_values(kept, material.parts.get("train", kept)),
        dropped=dict(reasons.most_common()),
        twins_in_train=material.twins,
        dates={
            name: [str(np.nanmin(moments)), str(np.nanmax(moments))]
            for name, moments in material.dates.items()
            if not np.isnat(moments).all()
        },
        label_map=material.label_map,
        label_samples=dict(material.samples),
        findings=by_weight(f for check in CHECKS.values() for f in check(material)),
    )


def _values(examples: Sequence[Example], train: Sequence[Example]) -> dict[str, float]:
    numbers, learned = ([e.target for e in of if isinstance(e.target, float)] for of in (examples, train))
    if not learned:
        return {}
    whole = {"lowest": min(numbers), "mean": float(np.mean(numbers)), "highest": max(numbers)}
    return whole | {TRAIN_MEAN: float(np.mean(learned))}


def token_lengths(lengths: Sequence[int], max_length: int) -> dict[str, float]:
    """Return the report's `tokens`."""
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
    samples = {}
    for label, shown in names.items():
        texts = [e.text for e in rows if e.stratum == label]
        samples[shown] = [text[:100] for text in texts[:: max(1, len(texts) // 3)][:3]]
    return samples


def _is_number(label: str) -> bool:
    return label.removeprefix("-").isdigit()


@dataclass(frozen=True)
class TokenCounts:
    """The report's `tokens`, with `unknown`: the share of them that stand for characters the tokenizer does not know."""

    tokens: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

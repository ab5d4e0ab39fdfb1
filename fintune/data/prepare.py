"""Data read, checked and split into parts: what training starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.data.labels import LabelMap
from fintune.data.load import Gathered, gather
from fintune.data.quality.cleanup import Dropped
from fintune.data.quality.duplicates import clusters
from fintune.data.quality.leaks import Leaks
from fintune.data.quality.material import Material
from fintune.data.quality.reaching import FEWEST_EXAMPLES, cause, divide_all_labels, lacking
from fintune.data.quality.report import DataReport, label_samples, report
from fintune.data.settings import DataSection, SplitSection
from fintune.data.splits import Parts, Plan, Splits, fingerprint, learning_subset
from fintune.errors import DataError
from fintune.records import Example, strata
from fintune.runtime.progress import tell
from fintune.tasks import Task
from fintune.tasks.contract import need_contract


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Data that were found sound, in parts."""

    task: Task
    splits: Splits
    report: DataReport
    sources: Sequence[Mapping[str, Any]]
    dropped: Sequence[Dropped]
    leaks: Mapping[str, Leaks]
    """The known rows of each part that is scored."""


def prepare(settings: DataSection, task: Task) -> Dataset:
    """Read, check and split the data. Raises DataError."""
    gathered = gather(settings, task)
    if (count := sum(map(len, gathered.parts.values()))) < FEWEST_EXAMPLES:
        names = ", ".join(str(source["path"]) for source in gathered.sources)
        raise DataError(
            f"{names}: {count} distinct examples, too few to split", hint="Ten are the least, hundreds are useful."
        )
    everything = [e for part in gathered.parts.values() for e in part]
    need_contract(task, everything)
    if len({e.target for e in everything}) == 1:
        raise DataError(
            f"data.path: all {count:,} examples have the {task.noun} '{everything[0].target}': nothing to learn",
            hint="Give it others too, or check data.label_column.",
        )
    parts, groups = divided(settings, gathered)
    _need_labels(gathered, parts, settings.split)
    looked_at = material(settings, gathered, parts, groups)
    return Dataset(
        task=task,
        splits=Splits(parts, fingerprint(parts)),
        report=report(looked_at),
        sources=gathered.sources,
        dropped=gathered.dropped,
        leaks=looked_at.leaks,
    )


def divided(
    settings: DataSection, gathered: Gathered, *, near_duplicates: bool = True
) -> tuple[Parts, NDArray[np.int64]]:
    """Parts in the order train, validation, test (those that are given as they are), and the clusters of all examples."""
    split, separate = settings.split, {name: part for name, part in gathered.parts.items() if name != "train"}
    everything = [e for part in gathered.parts.values() for e in part]
    groups = clusters([e.text for e in everything]) if near_duplicates else np.arange(len(everything))
    shares = {name: share for name, share in split.fractions.items() if name not in separate}
    parts: Parts = {"train": gathered.parts["train"]}
    if len(shares) > 1:
        whole = {name: share / sum(shares.values()) for name, share in shares.items()}
        plan = Plan(split.by, whole, split.seed, split.folds, split.fold, settings.date_format)
        parts = divide_all_labels(gathered.parts["train"], plan, groups[: len(gathered.parts["train"])])
    if split.train_examples is not None:
        parts["train"] = learning_subset(parts["train"], split.train_examples, split.seed)
    return {name: (parts | separate)[name] for name in split.fractions}, groups


def material(
    settings: DataSection,
    gathered: Gathered,
    parts: Mapping[str, Sequence[Example]],
    groups: NDArray[np.int64],
    *,
    near_duplicates: bool = True,
) -> Material:
    """Return what the checks look at."""
    kept = [e for part in gathered.parts.values() for e in part]
    labels = labels_of(gathered.task, kept)
    return Material(
        rows=gathered.rows,
        kept=kept,
        parts=parts,
        groups=groups,
        labels=labels,
        given=[name for name in gathered.parts if name != "train"],
        faults=gathered.faults,
        dropped=gathered.dropped,
        date_format=settings.date_format,
        by=settings.split.by,
        shares=settings.split.fractions,
        near_duplicates=near_duplicates,
        sources=gathered.sources,
        label_map=LabelMap(settings.label_map).applied(gathered.labels),
        samples=label_samples(kept, settings.label_map, labels),
    )


def data_record(dataset: Dataset, tokens: Mapping[str, float] | None = None) -> dict[str, object]:
    """Return the content of data.json; `tokens`: lengths in tokens of the training part, once they are known."""
    return {
        "task": dataset.task.name,
        "sources": list(dataset.sources),
        "fingerprint": dataset.splits.fingerprint,
        "report": asdict(replace(dataset.report, tokens=dict(tokens or {}))),
        "soft_labels": _soft_labels(dataset.splits["train"]),
        "ids": {part: [example.id for example in examples] for part, examples in dataset.splits.parts.items()},
        "leaks": {part: found.record() for part, found in dataset.leaks.items()},
    }


def _soft_labels(train: Sequence[Example]) -> dict[str, float]:
    """Return how many examples have shares of several labels to learn, and the mean share of their own; nothing where none has."""
    own = [example.shares[str(example.target)] for example in train if example.shares]
    return {"examples": len(own), "mean_share": float(np.mean(own))} if own else {}


def announce(dataset: Dataset, settings: DataSection) -> None:
    """Tell whoever listens what the data hold."""
    found, sizes = dataset.report, {part: len(examples) for part, examples in dataset.splits.parts.items()}
    labels = " · ".join(f"{label} {count:,}" for label, count in found.labels.items())
    values = " · ".join(f"{name} {value:g}" for name, value in found.values.items())
    dropped = " · ".join(f"{count:,} dropped: {reason}" for reason, count in found.dropped.items()) or "none dropped"
    tell("data", " · ".join(filter(None, (f"{found.rows:,} rows", labels, values, dropped))))
    tell(
        "data",
        f"{found.near_duplicate_rows:,} rows in near-duplicate clusters · split by {settings.split.by} · "
        + " · ".join(f"{part} {size:,}" for part, size in sizes.items()),
    )
    if soft := _soft_labels(dataset.splits["train"]):
        shares = f"the label of {soft['examples']:,} texts to learn from has {soft['mean_share']:.1%} on average"
        tell("data", f"soft labels: {shares}; scores go by the label alone")
    for finding in found.findings:
        if finding.level != "note":
            tell("data", f"{finding.level}: {finding.message}")


def labels_of(task: Task, examples: Sequence[Example]) -> list[str]:
    """Return the labels that every part must have examples of; none where a task has no such, or its strata are others."""
    labels = list(task.choices() or {}) if task.kind == "labels" else []
    return labels if strata(examples).keys() <= set(labels) else []


def _need_labels(gathered: Gathered, parts: Mapping[str, Sequence[Example]], split: SplitSection) -> None:
    """Refuse a part that lacks a label, or has nothing where there are none: it could neither be learned nor judged."""
    labels = labels_of(gathered.task, [e for part in gathered.parts.values() for e in part])
    for part, examples in parts.items():
        if missing := lacking(labels, examples):
            split_off = {
                name: members for name, members in parts.items() if name == "train" or name not in gathered.parts
            }
            share = split.fractions[part]
            why, way_out = cause(missing[0], split_off, split.by, share) if part in split_off else ("", "")
            what, otherwise = "example", "Add examples."
            if missing[0]:
                what += f" of label '{missing[0]}'"
                otherwise = "Add examples of it, or take it out of task.labels."
            setting = "path" if part in split_off else part
            because = f": {why}" if why else ""
            raise DataError(f"data.{setting}: no {what} in the {part} part{because}", hint=way_out or otherwise)

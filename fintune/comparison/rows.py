"""The rows of a comparison: what each answered on the part that is scored, and what it cost, read from run folders.

>>> row = method_row("lora", runs, examples, labels, part="validation", folder=folder)
>>> row.answers.shape, row.costs.trainable_parameters
((3, 226), 1898496)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fintune.errors import RunError
from fintune.records import Example, Prediction
from fintune.runs.run import Run
from fintune.tasks.metrics import UNPARSED, Ints


@dataclass(frozen=True)
class Costs:
    """Means over a row's runs (memory: the largest); None where a row has no such cost, or it is not known."""

    trainable_parameters: int | None = None
    adapter_mb: float | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_1000: float | None = None
    forgetting: dict[str, float] | None = None
    """perplexity on general text, before and after"""


@dataclass(frozen=True)
class Row:
    """A method or a challenger; `answers` `(seeds, n)` are positions in the labels, or UNPARSED."""

    name: str
    kind: str
    answers: Ints
    costs: Costs
    runs: list[str] = field(default_factory=list)


def method_row(
    name: str, runs: Sequence[Run], examples: Sequence[Example], labels: Sequence[str], *, part: str, folder: Path
) -> Row:
    """Return a method's row from its finished runs, one a seed."""
    answers = np.array([answered(run.predictions(part), examples, labels) for run in runs])
    return Row(name, "method", answers, costs_of(runs), [str(run.folder.relative_to(folder)) for run in runs])


def answered(predictions: Sequence[Prediction], examples: Sequence[Example], labels: Sequence[str]) -> Ints:
    """Positions in `labels` of the predicted labels, `(n,)`, in the order of `examples`. Raises RunError when one is missing.

    Rows are known by their text too: an id is a place in a file, whose lines may have been put in another order since.
    """
    where = {label: i for i, label in enumerate(labels)}
    found = {(p.id, p.text): UNPARSED if p.label is None else where[p.label] for p in predictions}
    if missing := [e.id for e in examples if (e.id, e.text) not in found]:
        raise RunError(
            f"{missing[0]}: another text was answered there, or none: the file has changed since",
            hint="Put its lines back in order, or compare under another name: --set name=...",
        )
    return np.array([found[e.id, e.text] for e in examples], dtype=np.int64)


def costs_of(runs: Sequence[Run]) -> Costs:
    """Return what the runs of a row cost."""
    known = [run.environment() for run in runs]
    peaks = [e["peak_memory_bytes"] for e in known if e.get("peak_memory_bytes")]
    return Costs(
        trainable_parameters=known[0].get("trainable_parameters"),
        adapter_mb=_mean([_megabytes(run.adapter) for run in runs]),
        train_seconds=_mean([e.get("train_seconds") for e in known]),
        peak_memory_bytes=max(peaks) if peaks else None,
        seconds_per_1000=_mean([e.get("seconds_per_1000") for e in known]),
        forgetting=_forgetting(runs),
    )


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _forgetting(runs: Sequence[Run]) -> dict[str, float] | None:
    """Mean of the runs' forgetting.json, where they have one."""
    found = [one for run in runs if (one := run.forgetting()) is not None]
    return {when: float(np.mean([one[when] for one in found])) for when in ("before", "after")} if found else None

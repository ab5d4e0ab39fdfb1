"""The rows of a comparison: what each answered on the part that is scored, and what it cost, read from run folders.

A method's row of three seeds on 226 texts holds three lists of 226 answers, and as costs the means over its three runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from fintune.errors import RunError
from fintune.evaluation.significance import RunAnswers
from fintune.records import Example, Prediction
from fintune.runs.run import Run
from fintune.runs.schema import ForgettingRecord


@dataclass(frozen=True)
class Costs:
    """Means over a row's runs (memory: the largest); None where a row has no such cost, or it is not known."""

    trainable_parameters: int | None = None
    adapter_mb: float | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_1000: float | None = None
    forgetting: ForgettingRecord | None = None
    """Perplexity on general text, before and after training."""


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A method or a baseline: what each of its runs, one a seed, answered, in the order of the examples."""

    name: str
    kind: Literal["method", "baseline"]
    answers: RunAnswers
    costs: Costs
    runs: list[str] = field(default_factory=list)


def method_row(
    name: str, runs: Sequence[Run], examples: Sequence[Example], *, part: str, folder: Path
) -> ComparisonRow:
    """Return a method's row from its finished runs, one a seed."""
    return ComparisonRow(
        name=name,
        kind="method",
        answers=[in_order(run.predictions(part), examples) for run in runs],
        costs=costs_of(runs),
        runs=[str(run.folder.relative_to(folder)) for run in runs],
    )


def in_order(predictions: Sequence[Prediction], examples: Sequence[Example]) -> list[Prediction]:
    """Return predictions in the order of `examples`, with their gold answers. Raises RunError when one is missing.

    Rows are known by their text too: an id is a place in a file, whose lines may have been put in another order since.
    """
    answers = {(p.id, p.text): p for p in predictions}
    if missing := [e.id for e in examples if (e.id, e.text) not in answers]:
        raise RunError(
            f"{missing[0]}: another text was answered there, or none: the file has changed since",
            hint="Put its lines back in order, or compare under another name: --set name=...",
        )
    return [replace(answers[e.id, e.text], gold=e.target) for e in examples]


def costs_of(runs: Sequence[Run]) -> Costs:
    """Return what the runs of a row cost."""
    environments = [run.environment() for run in runs]
    peaks = [e["peak_memory_bytes"] for e in environments if e.get("peak_memory_bytes")]
    return Costs(
        trainable_parameters=environments[0].get("trainable_parameters"),
        adapter_mb=_mean([_megabytes(run.adapter) for run in runs]),
        train_seconds=_mean([e.get("train_seconds") for e in environments]),
        peak_memory_bytes=max(peaks) if peaks else None,
        seconds_per_1000=_mean([e.get("seconds_per_1000") for e in environments]),
        forgetting=_forgetting(runs),
    )


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _forgetting(runs: Sequence[Run]) -> ForgettingRecord | None:
    """Return the mean of the runs' forgetting.json, where they have one."""
    measured = [forgetting for run in runs if (forgetting := run.forgetting()) is not None]
    if not measured:
        return None
    return {
        "before": float(np.mean([forgetting["before"] for forgetting in measured])),
        "after": float(np.mean([forgetting["after"] for forgetting in measured])),
    }

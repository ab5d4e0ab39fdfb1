"""Several runs beside each other, in the form of comparison.json: from that file, or from the runs' own scores.

>>> compared = of_runs([run, other])
>>> [row["name"] for row in compared["rows"]]
['lora', 'ia3', 'majority']
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fintune.records import Scores
from fintune.report.reading import PARTS, RunFiles
from fintune.tasks.metrics import HEADLINE

METRIC = "accuracy"
"""by which rows are ranked, as fintune compare does"""
COSTS = ("train_seconds", "trainable_parameters")
"""what quality is set against: the first that most rows have"""


def of_runs(runs: Sequence[RunFiles]) -> dict[str, Any]:
    """Return a row for each run, on the part that most were scored on, and for each baseline of the first that has any."""
    first = runs[0]
    part = max(PARTS, key=lambda part: sum(part in run.scores for run in runs))
    rows = [_row(run, name, part) for run, name in zip(runs, names_of(runs), strict=True)]
    for name, parts in next((run.baselines for run in runs if run.baselines), {}).items():
        rows.append({"name": name, "kind": "baseline", "scores": _plain(parts.get(part, {}))})
    scored = [row for row in rows if row["scores"]]
    return {
        "part": part,
        "n": next((score["n"] for row in scored for score in row["scores"].values()), 0),
        "confidence": first.level,
        "rows": rows,
        "fingerprints": sorted({str(run.data.get("fingerprint", "?")) for run in runs}),
    }


def cost_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of the cost that the Pareto plot sets quality against."""
    return max(COSTS, key=lambda cost: sum(row.get(cost) is not None for row in rows))


def pareto(rows: Sequence[Mapping[str, Any]], cost: str) -> list[str]:
    """Names of rows that no cheaper row equals in accuracy."""
    usable = [row for row in rows if row.get(cost) is not None and METRIC in row["scores"]]
    found, best = [], float("-inf")
    for row in sorted(usable, key=lambda row: (row[cost], -row["scores"][METRIC]["value"])):
        if row["scores"][METRIC]["value"] > best:
            best = row["scores"][METRIC]["value"]
            found.append(str(row["name"]))
    return found


def training_seconds(run: RunFiles) -> float | None:
    """Time in training steps, from examples and examples a second of every logged line."""
    spent = [
        line["examples"] / line["examples_per_second"]
        for line in run.log
        if line.get("examples") and line.get("examples_per_second")
    ]
    return sum(spent) if spent else None


def peak_memory(run: RunFiles) -> int | None:
    """Bytes, the largest that was logged."""
    return max((line["peak_memory_bytes"] for line in run.log if line.get("peak_memory_bytes")), default=None)


def names_of(runs: Sequence[RunFiles]) -> list[str]:
    """Return what each is called: its config's name, or where several have that one, its folder."""
    count = Counter(run.name for run in runs)
    return [run.name if count[run.name] == 1 else str(run.folder) for run in runs]


def _row(run: RunFiles, name: str, part: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "method",
        "method": run.method,
        "scores": _plain(run.scores.get(part, {})),
        "trainable_parameters": run.environment.get("trainable_parameters"),
        "adapter_mb": run.adapter_bytes / 1e6 if run.adapter_bytes else None,
        "train_seconds": training_seconds(run),
        "peak_memory_bytes": peak_memory(run),
    }


def _plain(scores: Scores) -> dict[str, dict[str, float]]:
    return {
        metric: {"value": s.value, "low": s.low, "high": s.high, "n": s.n}
        for metric in HEADLINE
        if (s := scores.get(metric)) is not None
    }

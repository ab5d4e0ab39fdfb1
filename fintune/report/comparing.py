"""Several runs beside each other, in the form of comparison.json: from that file, or from the runs' own scores.

Example:
    [row["name"] for row in of_runs([run, other])["rows"]]
    # ['lora', 'ia3', 'majority']
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from fintune.records import Scores
from fintune.report.run_files import PARTS, RunFiles
from fintune.runs.schema import ComparisonRecord, RowRecord, ScoreRecord
from fintune.runs.score_record import plain_scores
from fintune.runs.training_log import logged_peak_memory, train_seconds
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import pareto

Cost = Literal["train_seconds", "trainable_parameters"]
"""A cost of a row."""
_COSTS: tuple[Cost, ...] = ("train_seconds", "trainable_parameters")
"""What quality is set against: the first that most rows have."""


class RunsRecord(ComparisonRecord):
    """A comparison of runs that were not compared by fintune compare, so that their data may differ."""

    fingerprints: list[str]


def of_runs(runs: Sequence[RunFiles]) -> RunsRecord:
    """Return a row for each run, on the part that most were scored on, and for each baseline of the first that has any."""
    headline = next((run.headline for run in runs if run.headline), [])
    part = max(PARTS, key=lambda part: sum(part in run.scores for run in runs))
    rows = [_row(run, name, _shown(run.scores, part, headline)) for run, name in zip(runs, names_of(runs), strict=True)]
    for name, parts in next((run.baselines for run in runs if run.baselines), {}).items():
        rows.append({"name": name, "kind": "baseline", "scores": _shown(parts, part, headline)})
    scored = [row for row in rows if row["scores"]]
    return {
        "part": part,
        "n": next((score["n"] for row in scored for score in row["scores"].values()), 0),
        "confidence": runs[0].level,
        "headline": headline,
        "rows": rows,
        "fingerprints": sorted({run.fingerprint or "?" for run in runs}),
    }


def cost_of(rows: Sequence[RowRecord]) -> Cost:
    """Return the name of the cost that the Pareto plot sets quality against."""
    return max(_COSTS, key=lambda cost: sum(row.get(cost) is not None for row in rows))


def ranked_by(record: ComparisonRecord) -> str:
    """Return the metric by which rows are ranked; empty where there is none."""
    return next(iter(record.get("headline", [])), "")


def alike(headline: Sequence[str]) -> list[str]:
    """Return the metrics of a headline that can share an axis with the first."""
    axes = {name: (metric_of(name).share, metric_of(name).low, metric_of(name).high) for name in headline}
    return [name for name, axis in axes.items() if axis == axes[headline[0]]]


def gain(row: RowRecord, metric: str) -> float:
    """Return what is larger the better a row is."""
    return metric_of(metric).gain(row["scores"][metric]["value"])


def frontier(rows: Sequence[RowRecord], cost: Cost, metric: str) -> list[str]:
    """Return the names of rows that no cheaper row equals in a metric."""
    return pareto(
        {
            row["name"]: (gain(row, metric), spent)
            for row in rows
            if (spent := row.get(cost)) is not None and metric in row["scores"]
        }
    )


def training_seconds(run: RunFiles) -> float | None:
    """Return the time in training steps, from the logged lines; None where none says."""
    return train_seconds(run.log) or None


def largest_memory(run: RunFiles) -> int | None:
    """Return the largest peak memory that was logged, in bytes."""
    return logged_peak_memory(run.log) or None


def names_of(runs: Sequence[RunFiles]) -> list[str]:
    """Return what each is called: its config's name, or where several have that one, its folder."""
    count = Counter(run.name for run in runs)
    return [run.name if count[run.name] == 1 else str(run.folder) for run in runs]


def _row(run: RunFiles, name: str, scores: dict[str, ScoreRecord]) -> RowRecord:
    return {
        "name": name,
        "kind": "method",
        "scores": scores,
        "trainable_parameters": run.environment.get("trainable_parameters"),
        "adapter_mb": run.adapter_bytes / 1e6 if run.adapter_bytes else None,
        "train_seconds": training_seconds(run),
        "peak_memory_bytes": largest_memory(run),
    }


def _shown(parts: Mapping[str, Scores], part: str, headline: Sequence[str]) -> dict[str, ScoreRecord]:
    scores = parts.get(part, {})
    return plain_scores({metric: scores[metric] for metric in headline if metric in scores})

"""What the page shows of a comparison beside its charts: the table, paired tests, who is ahead.

Example:
    [view["key"] for view in views(sources, ["run1"])]
    # ['comparison1']
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypedDict

from markupsafe import Markup

from fintune.report import comparing, summary
from fintune.report.sources import MOST_RUNS, Sources
from fintune.report.words import (
    Translator,
    baseline_name,
    both,
    count,
    duration,
    in_both,
    metric_column,
    metric_heading,
    size,
    written,
)
from fintune.runs.schema import ComparisonRecord, ForgettingRecord, PairRecord, RowRecord
from fintune.tasks.lookup import metric_of

Cell = tuple[str, float]
"""What a cell of the table shows, and by what it sorts."""
_TESTS = ("p_bootstrap", "p_mcnemar", "p_holm")
"""Columns of the paired tests; those in which no pair has a figure are left out."""


class ComparisonView(TypedDict):
    """Everything that the template of a comparison shows."""

    key: str
    name: str
    record: ComparisonRecord
    lead: Markup
    recommendation: str
    level: float
    headline: list[str]
    better: Callable[[Translator], str]
    rows: list[dict[str, object]]
    costs: list[str]
    pairs: list[dict[str, object]]
    tests: list[str]
    notes: list[Markup]


def views(sources: Sources, keys: Sequence[str]) -> list[ComparisonView]:
    """Return a view for each comparison folder, and one for runs that were named beside each other; `keys` are those of the runs."""
    views: list[ComparisonView] = []
    for compared in sources.comparisons:
        places = {name: keys[i] for name, i in compared.runs.items() if i < len(keys)}
        name = compared.folder.resolve().name
        views.append(comparison_view(compared.record, f"comparison{len(views) + 1}", places, name))
        views[-1]["notes"] += [*_notes(sources, compared.gone), *_failed(compared.record)]
    if sources.named > 1:
        named = sources.runs[: sources.named]
        record = comparing.of_runs(named)
        places = dict(zip(comparing.names_of(named), keys, strict=False))
        views.append(comparison_view(record, f"comparison{len(views) + 1}", places, ""))
        if len(prints := record["fingerprints"]) > 1:
            views[-1]["notes"].append(both("compared.differ", prints=", ".join(prints)))
    return views


def comparison_view(record: ComparisonRecord, key: str, places: Mapping[str, str], name: str) -> ComparisonView:
    """Return what the page shows of a comparison; `places`: name of a row -> its run's section on the page."""
    costs = [_costs(row) for row in record["rows"]]
    headline, pairs = record.get("headline", []), record.get("pairs", [])
    return {
        "key": key,
        "name": name,
        "record": record,
        "lead": in_both(lambda t: summary.compared(record, t)),
        "recommendation": record.get("recommendation") or "",
        "level": record.get("confidence") or 0.95,
        "headline": headline,
        "better": lambda t: t("up" if metric_of(comparing.ranked_by(record)).greater_is_better else "down"),
        "rows": [_row(row, headline, cells, places) for row, cells in zip(record["rows"], costs, strict=True)],
        "costs": [cost for cost in costs[0] if any(cells[cost] for cells in costs)] if costs else [],
        "pairs": [_pair(pair) for pair in pairs],
        "tests": [test for test in _TESTS if any(pair.get(test) is not None for pair in pairs)],
        "notes": _leaks(record),
    }


def _costs(row: RowRecord) -> dict[str, Cell | None]:
    """Return the columns beside the scores; those in which no row has a figure are left out."""
    adapter = row.get("adapter_mb")
    return {
        "seeds": _cell(row.get("seeds"), count),
        "trainable": _cell(row.get("trainable_parameters"), count),
        "adapter": _cell(None if adapter is None else adapter * 1e6, size),
        "training_time": _cell(row.get("train_seconds"), duration),
        "peak_memory": _cell(row.get("peak_memory_bytes"), size),
        "per_1000": _cell(row.get("seconds_per_1000"), duration),
        "forgetting": _cell(_rise(row.get("forgetting")), lambda share: f"{100 * share:+.1f}\u202f%"),
        "group": _cell(row.get("group"), count),
    }


def _row(
    row: RowRecord, headline: Sequence[str], costs: Mapping[str, Cell | None], places: Mapping[str, str]
) -> dict[str, object]:
    return {
        "name": in_both(lambda t: baseline_name(row["name"], t)),
        "sort": row["name"],
        "baseline": row.get("kind") == "baseline",
        "run": places.get(row["name"]),
        "scores": [(metric, row["scores"].get(metric)) for metric in headline],
        "costs": costs,
    }


def _cell(value: float | None, write: Callable[[float], str]) -> Cell | None:
    return None if value is None else (write(value), float(value))


def _rise(forgetting: ForgettingRecord | None) -> float | None:
    return forgetting["after"] / forgetting["before"] - 1 if forgetting else None


def _pair(pair: PairRecord) -> dict[str, object]:
    metric = pair.get("metric", "")
    return {
        "names": in_both(lambda t: f"{baseline_name(pair['a'], t)} – {baseline_name(pair['b'], t)}"),
        "metric": metric,
        "title": in_both(partial(metric_column, metric)),
        "difference": pair.get("difference"),
        "p": {test: pair.get(test) for test in _TESTS},
    }


def _leaks(record: ComparisonRecord) -> list[Markup]:
    """Return that models know texts of the part, with each row's score on the others."""
    if not (leaked := record.get("leaks")):
        return []
    metric, clean = comparing.ranked_by(record), {row["name"]: row.get("clean") or {} for row in record["rows"]}
    scores = {name: on_new[metric] for name, on_new in clean.items() if metric in on_new}
    values = {"rows": count(leaked), "n": count(record.get("n"))}
    if not scores:
        return [both("compared.all_leak", **values)]
    values["new"] = count(next(iter(scores.values()))["n"])
    rows = ", ".join(f"{name} {written(metric, score['value'])}" for name, score in scores.items())
    return [both("compared.leaks", **values, metric=partial(metric_heading, metric), scores=rows)]


def _failed(record: ComparisonRecord) -> list[Markup]:
    return [both("compared.failed", name=row.get("name"), reason=row.get("reason")) for row in record.get("failed", [])]


def _notes(sources: Sources, gone: Sequence[str]) -> list[Markup]:
    notes = [both("compared.first")]
    if gone:
        notes.append(both("compared.gone", names=", ".join(gone)))
    if sources.left_out:
        notes.append(both("compared.most", n=MOST_RUNS, all=MOST_RUNS + sources.left_out))
    return notes

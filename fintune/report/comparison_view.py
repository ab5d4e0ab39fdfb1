"""What the page shows of a comparison beside its charts: the table, paired tests, who is ahead.

>>> [view["key"] for view in views(sources, run_views)]
['comparison1']
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from fintune.report import comparing, summary
from fintune.report.sources import MOST_RUNS, Sources
from fintune.report.words import baseline_name, both, count, duration, in_both, known, percent, size
from fintune.tasks.metrics import HEADLINE


def views(sources: Sources, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One for each comparison folder, and one for runs that were named beside each other."""
    found: list[dict[str, Any]] = []
    for compared in sources.comparisons:
        keys = {name: runs[i]["key"] for name, i in compared.runs.items() if i < len(runs)}
        found.append(
            compared_view(compared.found, f"comparison{len(found) + 1}", keys, str(compared.folder.resolve().name))
        )
        found[-1]["notes"] += [*_notes(sources, compared.gone), *_failed(compared.found)]
    if sources.given > 1:
        named = sources.runs[: sources.given]
        together = comparing.of_runs(named)
        keys = {name: view["key"] for name, view in zip(comparing.names_of(named), runs, strict=False)}
        found.append(compared_view(together, f"comparison{len(found) + 1}", keys, ""))
        if len(prints := together["fingerprints"]) > 1:
            found[-1]["notes"].append(both("compared.differ", prints=", ".join(prints)))
    return found


def compared_view(found: Mapping[str, Any], key: str, runs: Mapping[str, str], name: str) -> dict[str, Any]:
    """Everything the template of a comparison asks for; `runs`: name of a row -> its section on the page."""
    rows = [_row(row, runs) for row in found["rows"]]
    return {
        "key": key,
        "name": name,
        "found": found,
        "lead": in_both(lambda t: summary.compared(found, t)),
        "recommendation": str(found.get("recommendation") or ""),
        "level": float(found.get("confidence") or 0.95),
        "rows": rows,
        "costs": [cost for cost in _COSTS if any(row["costs"][cost] for row in rows)],
        "pairs": [_pair(pair) for pair in found.get("pairs") or []],
        "notes": _leaks(found),
    }


_COSTS = ("seeds", "trainable", "adapter", "training_time", "peak_memory", "per_1000", "forgetting", "group")
"""columns beside the scores; those without a figure are left out"""


def _row(row: Mapping[str, Any], runs: Mapping[str, str]) -> dict[str, Any]:
    """Cells as (what is shown, by what they sort)."""
    adapter = row.get("adapter_mb")
    costs = {
        "seeds": _cell(row.get("seeds"), count),
        "trainable": _cell(row.get("trainable_parameters"), count),
        "adapter": _cell(None if adapter is None else adapter * 1e6, size),
        "training_time": _cell(row.get("train_seconds"), duration),
        "peak_memory": _cell(row.get("peak_memory_bytes"), size),
        "per_1000": _cell(row.get("seconds_per_1000"), duration),
        "forgetting": _cell(_rise(row.get("forgetting")), lambda share: f"{100 * share:+.1f}\u202f%"),
        "group": _cell(row.get("group"), count),
    }
    return {
        "name": in_both(lambda t: baseline_name(str(row["name"]), t)),
        "sort": str(row["name"]),
        "baseline": row.get("kind") == "baseline",
        "run": runs.get(str(row["name"])),
        "scores": [(metric, row["scores"].get(metric)) for metric in HEADLINE],
        "costs": costs,
    }


def _cell(value: Any, write: Any) -> tuple[str, float] | None:
    return None if value is None else (write(value), float(value))


def _rise(forgetting: Mapping[str, float] | None) -> float | None:
    return forgetting["after"] / forgetting["before"] - 1 if forgetting else None


def _pair(pair: Mapping[str, Any]) -> dict[str, Any]:
    metric = str(pair.get("metric", ""))
    return {
        "names": in_both(lambda t: f"{baseline_name(str(pair['a']), t)} – {baseline_name(str(pair['b']), t)}"),
        "metric": in_both(lambda t: t(metric) if known(metric) else metric),
        "difference": pair.get("difference"),
        **{name: pair.get(name) for name in ("p_bootstrap", "p_mcnemar", "p_holm")},
    }


def _leaks(found: Mapping[str, Any]) -> list[Markup]:
    """That models know texts of the part, with each row's accuracy on the others."""
    if not (known_texts := found.get("leaks")):
        return []
    clean = [
        (str(row["name"]), row["clean"][comparing.METRIC])
        for row in found["rows"]
        if comparing.METRIC in (row.get("clean") or {})
    ]
    values = {"rows": count(known_texts), "n": count(found.get("n"))}
    if not clean:
        return [both("compared.all_leak", **values)]
    rows = ", ".join(f"{name} {percent(score['value'])}" for name, score in clean)
    return [both("compared.leaks", **values, new=count(clean[0][1]["n"]), scores=rows)]


def _failed(found: Mapping[str, Any]) -> list[Markup]:
    return [both("compared.failed", **{k: row.get(k) for k in ("name", "reason")}) for row in found.get("failed") or []]


def _notes(sources: Sources, gone: Sequence[str]) -> list[Markup]:
    found = [both("compared.first")]
    if gone:
        found.append(both("compared.gone", names=", ".join(gone)))
    if sources.left_out:
        found.append(both("compared.most", n=MOST_RUNS, all=MOST_RUNS + sources.left_out))
    return found

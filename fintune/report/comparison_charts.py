"""The charts of a comparison, each a function from its figures (the form of comparison.json) to a Vega-Lite spec."""

import math
from typing import Any

from fintune.report import comparing, vega
from fintune.report.comparing import alike, gain, ranked_by
from fintune.report.vega import NUMBER, ROW, Spec
from fintune.report.words import Translator, baseline_name, metric_heading
from fintune.runs.schema import ComparisonRecord, PointRecord, RowRecord
from fintune.tasks.lookup import metric_of

_Point = dict[str, Any]
_BESIDE = {name: {"expr": f"datum.{name}"} for name in ("align", "dx", "dy")}
_LOG = {"type": "log", "padding": 20, "nice": False}
_CHEAPEST = 1.0
"""A cost of less (a row that needs no training) is drawn there: a logarithmic axis has no zero."""
_HEIGHT, _WIDTH = 300, 420
"""Pixels of the Pareto plot, the width as a guess."""
_SIDES = [("left", 7, -8), ("left", 7, 9), ("right", -7, -8), ("right", -7, 9)]
"""Where a name can stand beside its point."""


def intervals(record: ComparisonRecord, t: Translator) -> Spec | None:
    """Headline metrics of every row with intervals, best first."""
    first, shown = ranked_by(record), alike(record.get("headline", []))
    scored = [row for row in record["rows"] if first in row["scores"]]
    scored.sort(key=lambda row: -gain(row, first))
    rows: list[_Point] = [
        {"name": baseline_name(row["name"], t), "metric": metric_heading(metric, t), **_bounds_of(row, metric)}
        for row in scored
        for metric in shown
        if metric in row["scores"]
    ]
    if not rows:
        return None
    y = vega.name("name", list(dict.fromkeys(row["name"] for row in rows)), axis={"labelLimit": 190})
    metrics = [metric_heading(metric, t) for metric in shown]
    shared: Spec = {"y": y, "yOffset": vega.name("metric", metrics), "color": vega.color("metric", metrics)}
    x, form = vega.score(None, metric_of(first), rows), vega.format_of(metric_of(first))
    columns = {"name": (t("method"), ""), "metric": (t("metric"), ""), "value": (t("value"), form)}
    columns |= vega.bounds(t, form)
    layers = [vega.interval("x", x, **shared), vega.points(x=x, **shared)]
    return vega.chart(rows, columns, layers, height=ROW * len(scored), about=t("fig.intervals.title"))


def pareto(record: ComparisonRecord, t: Translator) -> Spec | None:
    """Quality against what it costs; the frontier is drawn through."""
    cost, first = comparing.cost_of(record["rows"]), ranked_by(record)
    best = record.get("pareto") or comparing.frontier(record["rows"], cost, first)
    usable = [(spent, row) for row in record["rows"] if (spent := row.get(cost)) is not None and first in row["scores"]]
    if len(usable) < 2:
        return None
    usable.sort(key=lambda pair: (pair[0], gain(pair[1], first)))
    rows: list[_Point] = [
        {"name": baseline_name(row["name"], t), "cost": max(spent, _CHEAPEST), "best": row["name"] in best}
        | _bounds_of(row, first)
        for spent, row in usable
    ]
    title, form = metric_heading(first, t), vega.format_of(metric_of(first))
    y = vega.score(title, metric_of(first), rows)
    rows = _named(rows, y["scale"]["domain"])
    x = vega.quantity("cost", t(f"cost.{cost}"), axis={"format": "~s", "tickCount": 5, "grid": False}, scale=_LOG)
    tint: Spec = {"condition": {"test": "datum.best", "value": vega.SERIES[0]}, "value": vega.MUTED}
    front: Spec = {
        "transform": [{"filter": "datum.best"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": vega.SERIES[0], "opacity": 0.5},
        "encoding": {"x": x, "y": y, "tooltip": {"value": None}},
    }
    names: Spec = {
        "mark": {"type": "text", "fontSize": 11, "limit": 110, **_BESIDE},
        "encoding": {"x": x, "y": y, "text": {"field": "name"}, "color": tint, "tooltip": {"value": None}},
    }
    layers = [front, vega.interval("y", y, x=x, color=tint), vega.points(x=x, y=y, color=tint), names]
    columns = {"name": (t("method"), ""), "cost": (t(f"cost.{cost}"), NUMBER), "value": (title, form)}
    return vega.chart(rows, columns | vega.bounds(t, form), layers, height=_HEIGHT, about=t("fig.pareto.title"))


def learning_curve(record: ComparisonRecord, t: Translator) -> Spec | None:
    """Quality by the number of training texts."""
    first = ranked_by(record)
    rows: list[_Point] = [
        {"name": baseline_name(point["name"], t), "size": point["size"]} | _bounds_of(point, first)
        for point in record.get("learning_curve", [])
        if first in point["scores"]
    ]
    if not rows:
        return None
    tint = vega.color("name", list(dict.fromkeys(row["name"] for row in rows)))
    sizes = sorted({row["size"] for row in rows})
    x = vega.quantity("size", t("train_texts"), axis={"values": sizes, "format": ",d", "grid": False}, scale=_LOG)
    title, form = metric_heading(first, t), vega.format_of(metric_of(first))
    y = vega.score(title, metric_of(first), rows)
    shared: Spec = {"x": x, "y": y, "color": tint}
    layers = [vega.interval("y", y, x=x, color=tint), vega.line(**shared), vega.points(**shared)]
    columns = {"name": (t("method"), ""), "size": (t("train_texts"), ",d"), "value": (title, form)}
    return vega.chart(rows, columns | vega.bounds(t, form), layers, height=280, about=t("fig.learning_curve.title"))


def _named(rows: list[_Point], domain: list[float]) -> list[_Point]:
    """Return rows, each with a place for its name that meets no other name, as far as there is one."""
    low, high = math.log(min(row["cost"] for row in rows)), math.log(max(row["cost"] for row in rows))
    taken: list[tuple[float, float, float]] = []
    placed = []
    for row in rows:
        x = _WIDTH * (math.log(row["cost"]) - low) / ((high - low) or 1)
        y = _HEIGHT * (domain[1] - row["value"]) / (domain[1] - domain[0])
        wide = min(6.5 * len(row["name"]), 110)
        boxes = [(x + dx - (wide if align == "right" else 0), y + dy, wide) for align, dx, dy in _SIDES]
        free = [i for i, box in enumerate(boxes) if box[0] > -20 and not any(_meet(box, other) for other in taken)]
        inside = [i for i in free if boxes[i][0] + wide < _WIDTH + 20]
        best = (inside or free or [0])[0]
        taken.append(boxes[best])
        placed.append(row | dict(zip(("align", "dx", "dy"), _SIDES[best], strict=True)))
    return placed


def _meet(a: tuple[float, float, float], b: tuple[float, float, float]) -> bool:
    """Whether two names (left, middle, width) overlap."""
    return abs(a[1] - b[1]) < 13 and a[0] < b[0] + b[2] and b[0] < a[0] + a[2]


def _bounds_of(row: RowRecord | PointRecord, metric: str) -> _Point:
    score = row["scores"][metric]
    return {"value": score["value"], "low": score["low"], "high": score["high"]}

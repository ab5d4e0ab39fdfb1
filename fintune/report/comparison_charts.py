"""The charts of a comparison, each a function from its figures (the form of comparison.json) to a Vega-Lite spec."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from fintune.report import comparing, vega
from fintune.report.run_charts import ROW, baseline_name
from fintune.report.vega import NUMBER, PERCENT, Spec
from fintune.report.words import Words

Comparison = Mapping[str, Any]
_BESIDE = {name: {"expr": f"datum.{name}"} for name in ("align", "dx", "dy")}
_HEIGHT, _WIDTH = 300, 420
"""pixels of the Pareto plot, the width as a guess"""
_SIDES = [("left", 7, -8), ("left", 7, 9), ("right", -7, -8), ("right", -7, 9)]
"""where a name can stand beside its point"""


def intervals(found: Comparison, t: Words) -> Spec | None:
    """Accuracy and macro-F1 of every row with intervals, best first."""
    scored = [row for row in found["rows"] if "macro_f1" in row["scores"]]
    scored.sort(key=lambda row: -row["scores"]["macro_f1"]["value"])
    rows = [
        {"name": baseline_name(row["name"], t), "metric": t(metric), **_bounds_of(row, metric)}
        for row in scored
        for metric in ("macro_f1", "accuracy")
        if metric in row["scores"]
    ]
    if not rows:
        return None
    y = vega.name("name", list(dict.fromkeys(row["name"] for row in rows)), axis={"labelLimit": 170})
    metrics = [t("macro_f1"), t("accuracy")]
    shared: Spec = {"y": y, "yOffset": vega.name("metric", metrics), "color": vega.colour("metric", metrics)}
    domain = vega.around([row[side] for row in rows for side in ("low", "high")])
    x = vega.quantity("value", None, PERCENT, scale={"domain": domain, "nice": False})
    points: Spec = {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}, "encoding": {"x": x, **shared}}
    columns = {"name": (t("method"), ""), "metric": (t("metric"), ""), "value": (t("value"), PERCENT)}
    columns |= {"low": (t("low"), PERCENT), "high": (t("high"), PERCENT)}
    layers = [vega.interval("x", x, **shared), points]
    return vega.chart(rows, columns, layers, height=ROW * len(scored), about=t("fig.intervals.title"))


def pareto(found: Comparison, t: Words) -> Spec | None:
    """Macro-F1 against what it costs; the frontier is drawn through."""
    cost = comparing.cost_of(found["rows"])
    usable = [row for row in found["rows"] if row.get(cost) is not None and "macro_f1" in row["scores"]]
    if len(usable) < 2:
        return None
    best = found.get("pareto") or comparing.pareto(usable, cost)
    rows = [
        {"name": baseline_name(row["name"], t), "cost": max(row[cost], 1e-3), "best": row["name"] in best}
        | _bounds_of(row, "macro_f1")
        for row in sorted(usable, key=lambda row: (row[cost], row["scores"]["macro_f1"]["value"]))
    ]
    domain = vega.around([row[side] for row in rows for side in ("low", "high")])
    rows = _named(rows, domain)
    x = vega.quantity(
        "cost",
        t(f"cost.{cost}"),
        scale={"type": "log", "padding": 24, "nice": False},
        axis={"format": "~s", "tickCount": 5, "grid": False},
    )
    y = vega.quantity("value", t("macro_f1"), PERCENT, scale={"domain": domain, "nice": False})
    tint: Spec = {"condition": {"test": "datum.best", "value": vega.SERIES[0]}, "value": vega.MUTED}
    front: Spec = {
        "transform": [{"filter": "datum.best"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": vega.SERIES[0], "opacity": 0.5, "strokeWidth": 1.25},
        "encoding": {"x": x, "y": y, "tooltip": {"value": None}},
    }  # fmt: skip
    points: Spec = {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1}, "encoding": {"x": x, "y": y, "color": tint}}  # fmt: skip
    named: Spec = {
        "mark": {"type": "text", "fontSize": 11, "limit": 110, **_BESIDE},
        "encoding": {"x": x, "y": y, "text": {"field": "name"}, "color": tint, "tooltip": {"value": None}},
    }
    layers = [front, vega.interval("y", y, x=x, color=tint), points, named]
    columns = {"name": (t("method"), ""), "cost": (t(f"cost.{cost}"), NUMBER), "value": (t("macro_f1"), PERCENT)}
    columns |= {"low": (t("low"), PERCENT), "high": (t("high"), PERCENT)}
    return vega.chart(rows, columns, layers, height=_HEIGHT, about=t("fig.pareto.title"))


def learning_curve(found: Comparison, t: Words) -> Spec | None:
    """Macro-F1 by the number of training texts."""
    rows = [
        {"name": baseline_name(point["name"], t), "size": point["size"]} | _bounds_of(point, "macro_f1")
        for point in found.get("learning_curve") or []
        if "macro_f1" in point["scores"]
    ]
    if not rows:
        return None
    tint = vega.colour("name", list(dict.fromkeys(row["name"] for row in rows)))
    sizes = sorted({row["size"] for row in rows})
    x = vega.quantity(
        "size",
        t("train_texts"),
        scale={"type": "log", "padding": 16, "nice": False},
        axis={"values": sizes, "format": ",d", "grid": False},
    )
    domain = vega.around([row[side] for row in rows for side in ("low", "high")])
    y = vega.quantity("value", t("macro_f1"), PERCENT, scale={"domain": domain, "nice": False})
    shared: Spec = {"x": x, "y": y, "color": tint}
    layers: list[Spec] = [
        vega.interval("y", y, x=x, color=tint),
        {"mark": {"type": "line", "strokeWidth": 1.75}, "encoding": shared},
        {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}, "encoding": shared},
    ]
    columns = {"name": (t("method"), ""), "size": (t("train_texts"), ",d"), "value": (t("macro_f1"), PERCENT)}
    columns |= {"low": (t("low"), PERCENT), "high": (t("high"), PERCENT)}
    return vega.chart(rows, columns, layers, height=280, about=t("fig.learning_curve.title"))


COMPARISON_CHARTS: dict[str, Callable[[Comparison, Words], Spec | None]] = {
    chart.__name__: chart for chart in (intervals, pareto, learning_curve)
}


def _named(rows: list[dict[str, Any]], domain: list[float]) -> list[dict[str, Any]]:
    """Gives every row a place for its name that meets no other name, as far as there is one."""
    low, high = math.log(min(row["cost"] for row in rows)), math.log(max(row["cost"] for row in rows))
    taken: list[tuple[float, float, float]] = []
    found = []
    for row in rows:
        x = _WIDTH * (math.log(row["cost"]) - low) / ((high - low) or 1)
        y = _HEIGHT * (domain[1] - row["value"]) / (domain[1] - domain[0])
        wide = min(6.5 * len(row["name"]), 110)
        boxes = [(x + dx - (wide if align == "right" else 0), y + dy, wide) for align, dx, dy in _SIDES]
        free = [i for i, box in enumerate(boxes) if box[0] > -20 and not any(_meet(box, other) for other in taken)]
        inside = [i for i in free if boxes[i][0] + wide < _WIDTH + 20]
        best = (inside or free or [0])[0]
        taken.append(boxes[best])
        found.append(row | dict(zip(("align", "dx", "dy"), _SIDES[best], strict=True)))
    return found


def _meet(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two names (left, middle, width) overlap."""
    return abs(one[1] - other[1]) < 13 and one[0] < other[0] + other[2] and other[0] < one[0] + one[2]


def _bounds_of(row: Mapping[str, Any], metric: str) -> dict[str, float]:
    return {side: row["scores"][metric][side] for side in ("value", "low", "high")}

"""The charts of one run, each a function from its files to a Vega-Lite spec, or None when the files do not hold it.

To add one: write a function, put it into RUN_CHARTS, its words into page/strings.json and its place into page/run.html.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fintune.records import Score
from fintune.report import confidence, vega
from fintune.report.reading import RunFiles
from fintune.report.vega import COUNT, NUMBER, PERCENT, Spec
from fintune.report.words import Words, known

STEPS_SHOWN = 300
"""points of a training curve; more are averaged"""
ROW = 30
"""pixels of a bar and its gap"""
_LEAST = 1e-6
"""the smallest loss that a logarithmic axis shows"""
_WHOLE = {"tickMinStep": 1, "format": ",d"}


def against(run: RunFiles, t: Words) -> Spec | None:
    """The model and its baselines on one axis."""
    rows = [{"name": run.name, "own": True} | _score(run.headline["accuracy"])] if "accuracy" in run.headline else []
    for name, parts in run.baselines.items():
        if (found := parts.get(run.part, {}).get("accuracy")) is not None:
            rows.append({"name": baseline_name(name, t), "own": False} | _score(found))
    if len(rows) < 2:
        return None
    order = [row["name"] for row in rows]
    y = vega.name("name", order, axis={"labelLimit": 200})
    tint: Spec = {"condition": {"test": "datum.own", "value": vega.SERIES[0]}, "value": vega.MUTED}
    x = _share("value", t("accuracy"), rows)
    points: Spec = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": tint},
    }
    layers = [vega.interval("x", x, y=y, color=tint), points]
    columns = {"name": (t("model"), "")} | _columns(t("accuracy"), t)
    return vega.chart(rows, columns, layers, height=ROW * len(rows), about=t("fig.against.title"))


def per_class(run: RunFiles, t: Words) -> Spec | None:
    """Precision, recall and F1 of every label."""
    rows = [
        {"label": label, "metric": t(metric)} | _score(run.headline[f"{metric}/{label}"])
        for label in run.labels
        for metric in ("precision", "recall", "f1")
        if f"{metric}/{label}" in run.headline
    ]
    if not rows:
        return None
    metrics = [t("precision"), t("recall"), t("f1")]
    y, offset = vega.name("label", run.labels), vega.name("metric", metrics)
    tint = vega.colour("metric", metrics)
    x = vega.quantity("value", None, PERCENT, scale={"domain": [0, 1]})
    bars: Spec = {
        "mark": {"type": "bar", "opacity": 0.85},
        "encoding": {"x": x, "y": y, "yOffset": offset, "color": tint},
    }
    layers = [bars, vega.interval("x", x, colour=vega.INK, y=y, yOffset=offset)]
    columns = {"label": (t("label"), ""), "metric": (t("metric"), "")} | _columns(t("value"), t)
    return vega.chart(rows, columns, layers, height=64 * len(run.labels), about=t("fig.per_class.title"))


def _confidences(run: RunFiles, t: Words, which: str, tint: str) -> Spec | None:
    rows = confidence.histogram(run.judged) if run.judged else []
    if not any(row[which] for row in rows):
        return None
    x: Spec = {"field": "from", "bin": {"binned": True}, "type": "quantitative", "title": t("confidence"),
               "axis": {"format": "~%"}, "scale": {"domain": [rows[0]["from"], 1]}}  # fmt: skip
    bars: Spec = {"mark": {"type": "bar", "color": tint}, "encoding": {"x": x, "x2": {"field": "to"}, "y": vega.quantity(which, t("texts"), axis=_WHOLE)}}  # fmt: skip
    columns = {"from": (t("from"), PERCENT), "to": (t("to"), PERCENT), which: (t("texts"), COUNT)}
    return vega.chart(rows, columns, [bars], height=150, about=t(f"fig.confidence_{which}.title"))


def confidence_right(run: RunFiles, t: Words) -> Spec | None:
    """Confidence of right answers."""
    return _confidences(run, t, "right", "var(--good)")


def confidence_wrong(run: RunFiles, t: Words) -> Spec | None:
    """Confidence of wrong answers."""
    return _confidences(run, t, "wrong", "var(--bad)")


def reliability(run: RunFiles, t: Words) -> Spec | None:
    """Stated confidence against the share that is right."""
    if not run.judged:
        return None
    rows = [vars(b) for b in confidence.reliability(run.judged, level=run.level)]
    least = min([0.5, *(row["low"] for row in rows), *(row["confidence"] for row in rows)])
    scale = {"domain": [max(0.0, round(least - 0.05, 1)), 1], "nice": False}
    x = vega.quantity("confidence", t("confidence"), PERCENT, scale=scale)
    y = vega.quantity("right", t("share_right"), PERCENT, scale=scale)
    ends = [{"at": scale["domain"][0]}, {"at": 1}]
    diagonal: Spec = {
        "data": {"values": ends},
        "mark": {"type": "line", "color": vega.MUTED, "strokeDash": [4, 4], "tooltip": False},
        "encoding": {"x": x | {"field": "at"}, "y": y | {"field": "at"}, "tooltip": {"value": None}},
    }
    points: Spec = {
        "mark": {"type": "point", "filled": True, "opacity": 1, "color": vega.SERIES[0]},
        "encoding": {"x": x, "y": y, "size": {"field": "n", "type": "quantitative", "legend": None, "scale": {"range": [40, 320]}}},
    }  # fmt: skip
    between = vega.interval("y", y, colour=vega.SERIES[0], x=x)
    columns = {"n": (t("texts"), COUNT), "confidence": (t("confidence"), PERCENT), "right": (t("share_right"), PERCENT)}
    columns |= _bounds(t)
    return vega.chart(rows, columns, [diagonal, between, points], height=260, about=t("fig.reliability.title"))


def loss(run: RunFiles, t: Words) -> Spec | None:
    """Loss by epoch: each logging step, and both parts after each epoch."""
    steps = [line for line in run.log if "step" in line and _number(line.get("loss")) and "epoch" in line]
    rows = [
        {"epoch": e, "value": v, "series": t("loss.steps")}
        for e, v in _thinned([(s["epoch"], s["loss"]) for s in steps])
    ]
    rows += _by_epoch(run, {"train_loss": t("loss.train"), "validation_loss": t("loss.validation")})
    if not rows:
        return None
    order = [t("loss.steps"), t("loss.train"), t("loss.validation")]
    rows = [row | {"value": max(row["value"], _LEAST)} for row in rows]
    marks = vega.decades([row["value"] for row in rows])
    y = vega.quantity(
        "value", t("loss.axis"), scale={"type": "log", "nice": False}, axis={"format": "~g", "values": marks}
    )
    return _curves(rows, order, y, t, NUMBER, about=t("fig.loss.title"))


def quality(run: RunFiles, t: Words) -> Spec | None:
    """Accuracy and macro-F1 on validation and on as many training examples, by epoch."""
    series = {
        f"{p}_{m}": f"{t(m)}, {t('part.' + p)}" for p in ("validation", "train") for m in ("accuracy", "macro_f1")
    }
    rows = _by_epoch(run, series)
    if not rows:
        return None
    y = vega.quantity("value", None, PERCENT, scale={"domain": vega.around([r["value"] for r in rows]), "nice": False})
    spec = _curves(rows, list(series.values()), y, t, PERCENT, about=t("fig.quality.title"))
    best = [{"epoch": line["epoch"]} for line in run.log if line.get("best")][-1:]
    mark: Spec = {
        "data": {"values": best},
        "mark": {"type": "rule", "color": vega.MUTED, "strokeDash": [2, 3]},
        "encoding": {"x": _epochs(rows, t), "tooltip": {"value": t("best_epoch")}},
    }
    return spec | {"layer": [mark, *spec["layer"]]}


def balance(run: RunFiles, t: Words) -> Spec | None:
    """Rows of each label in each part."""
    parts = run.report.get("parts") or {}
    rows = [
        {"label": label, "part": part_name(part, t), "rows": n} for part, of in parts.items() for label, n in of.items()
    ]
    if not rows:
        return None
    labels = run.labels or list(run.report.get("labels", {}))
    order = [part_name(part, t) for part in parts]
    bars: Spec = {
        "mark": "bar",
        "encoding": {"x": vega.quantity("rows", t("rows")), "y": vega.name("label", labels), "color": vega.colour("part", order)},
    }  # fmt: skip
    columns = {"label": (t("label"), ""), "part": (t("part"), ""), "rows": (t("rows"), COUNT)}
    return vega.chart(rows, columns, [bars], height=36 * len(labels), about=t("fig.balance.title"))


def lengths(run: RunFiles, t: Words) -> Spec | None:
    """Characters of the texts that were scored."""
    sizes = [len(p.text) for part in run.predictions.values() for p in part]
    if not sizes:
        return None
    most = max(20.0, float(np.quantile(sizes, 0.99)))
    counts, edges = np.histogram(np.minimum(sizes, most), bins=24, range=(0, most))
    rows = [
        {"from": a, "to": b, "n": n}
        for a, b, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    x: Spec = {"field": "from", "bin": {"binned": True}, "type": "quantitative", "title": t("characters")}
    bars: Spec = {"mark": {"type": "bar", "color": vega.SERIES[0]}, "encoding": {"x": x, "x2": {"field": "to"}, "y": vega.quantity("n", t("texts"), axis=_WHOLE)}}  # fmt: skip
    columns = {"from": (t("from"), ",.0f"), "to": (t("to"), ",.0f"), "n": (t("texts"), COUNT)}
    return vega.chart(rows, columns, [bars], height=150, about=t("fig.lengths.title"))


RUN_CHARTS: dict[str, Callable[[RunFiles, Words], Spec | None]] = {
    chart.__name__: chart
    for chart in (against, per_class, confidence_right, confidence_wrong, reliability, loss, quality, balance, lengths)
}


def baseline_name(name: str, t: Words) -> str:
    """What a baseline is called on the page."""
    return t(f"baseline.{name}") if known(f"baseline.{name}") else name


def part_name(part: str, t: Words) -> str:
    """What a part of the data is called on the page."""
    return t(f"part.{part}") if known(f"part.{part}") else part


def _score(score: Score) -> dict[str, Any]:
    return {"value": score.value, "low": score.low, "high": score.high}


def _bounds(t: Words) -> dict[str, tuple[str, str]]:
    return {"low": (t("low"), PERCENT), "high": (t("high"), PERCENT)}


def _columns(title: str, t: Words) -> dict[str, tuple[str, str]]:
    return {"value": (title, PERCENT)} | _bounds(t)


def _share(field: str, title: str, rows: Sequence[dict[str, Any]]) -> Spec:
    domain = vega.around([row[side] for row in rows for side in ("low", "high")])
    return vega.quantity(field, title, PERCENT, scale={"domain": domain, "nice": False})


def _by_epoch(run: RunFiles, series: dict[str, str]) -> list[dict[str, Any]]:
    lines = [line for line in run.log if "step" not in line and "epoch" in line]
    return [
        {"epoch": line["epoch"], "value": line[name], "series": title}
        for name, title in series.items()
        for line in lines
        if _number(line.get(name))
    ]


def _curves(rows: list[dict[str, Any]], order: list[str], y: Spec, t: Words, form: str, *, about: str) -> Spec:
    """Lines over epochs: thin ones where there are many points, marked ones where there are few."""
    x = _epochs(rows, t)
    tint = vega.colour("series", order, [vega.MUTED, *vega.SERIES] if len(order) == 3 else (), legend={"columns": 2})
    few = f"datum.series !== {order[0]!r}" if len(order) == 3 else "true"
    lines: Spec = {"mark": {"type": "line", "strokeWidth": 1.75}, "encoding": {"x": x, "y": y, "color": tint}}
    points: Spec = {
        "transform": [{"filter": few}],
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": tint},
    }
    columns = {"series": (t("series"), ""), "epoch": (t("epoch"), ".3~f"), "value": (t("value"), form)}
    return vega.chart(rows, columns, [lines, points], height=220, about=about)


def _epochs(rows: Sequence[dict[str, Any]], t: Words) -> Spec:
    last = max(row["epoch"] for row in rows)
    whole = list(range(int(last) + 1)) if last <= 12 else None
    axis = {"format": "d", "grid": False} | ({"values": whole} if whole else {})
    return vega.quantity("epoch", t("epoch"), axis=axis, scale={"zero": False, "nice": False, "padding": 8})


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most STEPS_SHOWN points, each the mean of its neighbours."""
    if not points:
        return []
    blocks = np.array_split(np.asarray(points, dtype=float), min(STEPS_SHOWN, len(points)))
    return [(round(float(b[-1, 0]), 4), float(b[:, 1].mean())) for b in blocks]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))

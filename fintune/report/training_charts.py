"""How training went: loss and quality by epoch, from log.jsonl."""

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from fintune.report import vega
from fintune.report.comparing import alike
from fintune.report.run_files import RunFiles
from fintune.report.vega import NUMBER, Spec
from fintune.report.words import Translator, metric_heading
from fintune.tasks.lookup import metric_of

_STEPS_SHOWN = 80
"""Points of a training curve; more are averaged."""
_LEAST = 1e-6
"""The smallest loss that a logarithmic axis shows."""


class _Point(TypedDict):
    epoch: float
    value: float
    series: str


def loss(run: RunFiles, t: Translator) -> Spec | None:
    """Loss by epoch: each logging step, and both parts after each epoch."""
    steps = [
        (line["epoch"], value)
        for line in run.log
        if "step" in line and "epoch" in line and (value := _finite(line, "loss")) is not None
    ]
    rows: list[_Point] = [{"epoch": e, "value": v, "series": t("loss.steps")} for e, v in _thinned(steps)]
    rows += _by_epoch(run, {"train_loss": t("loss.train"), "validation_loss": t("loss.validation")})
    if not rows:
        return None
    order = [t("loss.steps"), t("loss.train"), t("loss.validation")]
    rows = [{**row, "value": max(row["value"], _LEAST)} for row in rows]
    marks = vega.decades([row["value"] for row in rows])
    axis, scale = {"format": "~g", "values": marks}, {"type": "log", "nice": False}
    y = vega.quantity("value", t("loss.axis"), axis=axis, scale=scale)
    tint = vega.color("series", order, [vega.MUTED, *vega.SERIES], legend={"columns": 2})
    columns = _columns(NUMBER, t)
    return vega.chart(rows, columns, _curves(rows, y, tint, t, bare=order[0]), height=220, about=t("fig.loss.title"))


def quality(run: RunFiles, t: Translator) -> Spec | None:
    """Headline metrics on validation and on as many training examples, by epoch."""
    shown = [(part, metric) for part in ("validation", "train") for metric in alike(run.headline)]
    series = {f"{part}_{m}": f"{metric_heading(m, t)}, {t('part.' + part)}" for part, m in shown}
    rows = _by_epoch(run, series)
    if not rows:
        return None
    metric = metric_of(run.metric)
    y = vega.score(None, metric, rows, "value")
    tint = vega.color("series", list(series.values()), legend={"columns": 2})
    kept: Spec = {
        "data": {"values": [{"epoch": line["epoch"]} for line in run.log if line.get("best")][-1:]},
        "mark": {"type": "rule", "color": vega.MUTED, "strokeDash": [2, 3]},
        "encoding": {"x": _epochs(rows, t), "tooltip": {"value": t("best_epoch")}},
    }
    layers = [kept, *_curves(rows, y, tint, t)]
    return vega.chart(rows, _columns(vega.format_of(metric), t), layers, height=220, about=t("fig.quality.title"))


def _by_epoch(run: RunFiles, series: dict[str, str]) -> list[_Point]:
    lines = [line for line in run.log if "step" not in line and "epoch" in line]
    return [
        {"epoch": line["epoch"], "value": value, "series": title}
        for name, title in series.items()
        for line in lines
        if (value := _finite(line, name)) is not None
    ]


def _curves(rows: list[_Point], y: Spec, tint: Spec, t: Translator, *, bare: str = "") -> list[Spec]:
    """Lines with points over epochs; the series `bare` has too many for points."""
    x = _epochs(rows, t)
    marked = vega.points(x=x, y=y, color=tint)
    return [vega.line(x=x, y=y, color=tint), marked | {"transform": [{"filter": f"datum.series !== {bare!r}"}]}]


def _columns(form: str, t: Translator) -> vega.ChartColumns:
    return {"series": (t("series"), ""), "epoch": (t("epoch"), ".3~f"), "value": (t("value"), form)}


def _epochs(rows: Sequence[_Point], t: Translator) -> Spec:
    last = max(row["epoch"] for row in rows)
    whole = list(range(int(last) + 1)) if last <= 12 else None
    axis = {"format": "d", "grid": False} | ({"values": whole} if whole else {})
    return vega.quantity("epoch", t("epoch"), axis=axis, scale={"zero": False, "nice": False, "padding": 8})


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most _STEPS_SHOWN points, each the mean of its neighbors."""
    if not points:
        return []
    blocks = np.array_split(np.asarray(points, dtype=float), min(_STEPS_SHOWN, len(points)))
    return [(round(float(b[-1, 0]), 4), float(b[:, 1].mean())) for b in blocks]


def _finite(line: Mapping[str, object], name: str) -> float | None:
    """Return a figure of a line of the log; None where there is none, or none that can be drawn."""
    value = line.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

"""How good a run is: beside its baselines, and on each label, from scores.json."""

from typing import Any

from fintune.records import Score
from fintune.report import vega
from fintune.report.run_files import RunFiles
from fintune.report.vega import PERCENT, ROW, Spec
from fintune.report.words import Translator, baseline_name, metric_heading
from fintune.tasks.lookup import metric_of, of_labels


def against(run: RunFiles, t: Translator) -> Spec | None:
    """Return the model and its baselines on one axis."""
    metric, title = metric_of(run.metric), metric_heading(run.metric, t)
    scores_of = {run.name: run.figures} | {
        baseline_name(n, t): parts.get(run.part, {}) for n, parts in run.baselines.items()
    }
    if run.clean:
        new = t("model.new", name=run.name)
        scores_of = {run.name: run.figures, new: run.clean} | scores_of
    rows = [
        {"name": name, "own": name in (run.name, t("model.new", name=run.name)), **_score(scores[run.metric])}
        for name, scores in scores_of.items()
        if run.metric in scores
    ]
    if len(rows) < 2:
        return None
    y = vega.name("name", list(scores_of), axis={"labelLimit": 200})
    tint: Spec = {"condition": {"test": "datum.own", "value": vega.SERIES[0]}, "value": vega.MUTED}
    x = vega.score(title, metric, rows)
    layers = [vega.interval("x", x, y=y, color=tint), vega.points(x=x, y=y, color=tint)]
    form = vega.format_of(metric)
    columns = {"name": (t("model"), ""), "value": (title, form)} | vega.bounds(t, form)
    about = t("fig.against.title", metric=title)
    return vega.chart(rows, columns, layers, height=ROW * len(rows), about=about)


def per_class(run: RunFiles, t: Translator) -> Spec | None:
    """Return the metrics of every label."""
    rows = [
        {"label": label, "metric": metric_heading(metric, t), **_score(score)}
        for label, scores in of_labels(run.figures).items()
        for metric, score in scores.items()
    ]
    if not rows:
        return None
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    y, offset = vega.name("label", run.labels), vega.name("metric", metrics)
    tint = vega.color("metric", metrics)
    x = vega.quantity("value", None, PERCENT, scale={"domain": [0, 1]})
    bars: Spec = {
        "mark": {"type": "bar", "opacity": 0.85},
        "encoding": {"x": x, "y": y, "yOffset": offset, "color": tint},
    }
    layers = [bars, vega.interval("x", x, tint=vega.INK, y=y, yOffset=offset)]
    columns = {"label": (t("label"), ""), "metric": (t("metric"), ""), "value": (t("value"), PERCENT)}
    return vega.chart(
        rows, columns | vega.bounds(t), layers, height=64 * len(run.labels), about=t("fig.per_class.title")
    )


def _score(score: Score) -> dict[str, Any]:
    return {"value": score.value, "low": score.low, "high": score.high}

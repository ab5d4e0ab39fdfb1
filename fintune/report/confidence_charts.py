"""How sure the answers are: confidence of right and wrong ones, and the reliability diagram."""

from fintune.inference import confidence
from fintune.report import vega
from fintune.report.run_files import RunFiles
from fintune.report.vega import COUNT, PERCENT, Spec
from fintune.report.words import Translator


def _confidences(run: RunFiles, t: Translator, which: str, tint: str) -> Spec | None:
    rows = confidence.histogram(run.weighed) if run.weighed else []
    if not any(row[which] for row in rows):
        return None
    x: Spec = {"title": t("confidence"), "axis": {"format": "~%"}, "scale": {"domain": [rows[0]["from"], 1]}}
    bars = vega.bar_of_range(vega.texts(which, t("texts"), rows), x, tint)
    columns = {"from": (t("from"), PERCENT), "to": (t("to"), PERCENT), which: (t("texts"), COUNT)}
    return vega.chart(rows, columns, [bars], height=150, about=t(f"fig.confidence_{which}.title"))


def confidence_right(run: RunFiles, t: Translator) -> Spec | None:
    """Confidence of right answers."""
    return _confidences(run, t, "right", "var(--good)")


def confidence_wrong(run: RunFiles, t: Translator) -> Spec | None:
    """Confidence of wrong answers."""
    return _confidences(run, t, "wrong", "var(--bad)")


def reliability(run: RunFiles, t: Translator) -> Spec | None:
    """Stated confidence against the share that is right."""
    if not run.weighed:
        return None
    bins = confidence.reliability(run.weighed, level=run.level)
    start = round(max(0.0, min(0.5, *(min(b.low, b.confidence) for b in bins)) - 0.05), 1)
    scale = {"domain": [start, 1], "nice": False}
    x = vega.quantity("confidence", t("confidence"), PERCENT, scale=scale)
    y = vega.quantity("right", t("share_right"), PERCENT, scale=scale)
    diagonal: Spec = {
        "data": {"values": [{"at": start}, {"at": 1}]},
        "mark": {"type": "line", "color": vega.MUTED, "strokeDash": [4, 4], "tooltip": False},
        "encoding": {"x": x | {"field": "at"}, "y": y | {"field": "at"}, "tooltip": {"value": None}},
    }
    size: Spec = {"field": "n", "type": "quantitative", "legend": None, "scale": {"range": [40, 320]}}
    points = vega.points(x=x, y=y, size=size, color={"value": vega.SERIES[0]})
    between = vega.interval("y", y, tint=vega.SERIES[0], x=x)
    columns = {"n": (t("texts"), COUNT), "confidence": (t("confidence"), PERCENT), "right": (t("share_right"), PERCENT)}
    rows = [vars(b) for b in bins]
    return vega.chart(
        rows, columns | vega.bounds(t), [diagonal, between, points], height=260, about=t("fig.reliability.title")
    )

"""How sure the answers are: confidence of right and wrong ones, and the reliability diagram."""

from collections.abc import Sequence

import numpy as np

from fintune.inference import confidence
from fintune.inference.calibration import abstention
from fintune.inference.calibration.record import CertifiedThreshold
from fintune.records import Prediction
from fintune.report import vega
from fintune.report.run_files import RunFiles
from fintune.report.vega import COUNT, PERCENT, Spec
from fintune.report.words import Translator
from fintune.tasks.arrays import Bools, Floats

_POINTS = 150
"""Of a curve."""


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
    return _reliability(run.weighed, run.level, t, t("fig.reliability.title"))


def calibrated(run: RunFiles, t: Translator) -> Spec | None:
    """Stated confidence after calibration against the share that is right."""
    return _reliability(run.sure, run.level, t, t("fig.calibrated.title"))


def _reliability(predictions: Sequence[Prediction], level: float, t: Translator, about: str) -> Spec | None:
    if not predictions:
        return None
    bins = confidence.reliability(predictions, level=level)
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
    return vega.chart(rows, columns | vega.bounds(t), [diagonal, between, points], height=260, about=about)


def risk_coverage(run: RunFiles, t: Translator) -> Spec | None:
    """Share of errors among the surest answers, and what passes the thresholds that the calibration promises something of."""
    if run.calibration is None or not (answers := run.sure):
        return None
    sure, right = np.array([p.confidence for p in answers]), np.array([p.right for p in answers])
    coverage, errors = abstention.risk_coverage(sure, right)
    shown = np.unique(np.linspace(0, len(sure) - 1, _POINTS).astype(int))
    rows = [{"coverage": float(coverage[i]), "errors": float(errors[i])} for i in shown]
    chosen = [_passed(sure, right, one) for one in run.calibration.thresholds]
    x = vega.quantity("coverage", t("coverage"), PERCENT, scale={"domain": [0, 1]})
    y = vega.quantity("errors", t("share_wrong"), PERCENT)
    curve = vega.line(x=x, y=y, color={"value": vega.SERIES[0]})
    points: Spec = {"data": {"values": [one for one in chosen if one]}} | vega.points(
        x=x, y=y, color={"value": vega.SERIES[1]}
    )
    columns = {"coverage": (t("coverage"), PERCENT), "errors": (t("share_wrong"), PERCENT)}
    return vega.chart(rows, columns, [curve, points], height=220, about=t("fig.risk_coverage.title"))


def _passed(sure: Floats, right: Bools, threshold: CertifiedThreshold) -> dict[str, float]:
    """Return the point of a threshold on the curve; empty where nothing passes."""
    passes = sure >= threshold.confidence
    return {"coverage": float(passes.mean()), "errors": float((~right[passes]).mean())} if passes.any() else {}

"""What a run was trained and scored on: balance of labels from data.json, lengths from the predictions."""

import numpy as np

from fintune.report import vega
from fintune.report.run_files import RunFiles
from fintune.report.vega import COUNT, Spec
from fintune.report.words import Translator, part_name


def balance(run: RunFiles, t: Translator) -> Spec | None:
    """Rows of each label in each part."""
    parts = run.report.get("parts", {}) if run.report and run.labels else {}
    rows = [
        {"label": label, "part": part_name(part, t), "rows": n} for part, of in parts.items() for label, n in of.items()
    ]
    if not rows:
        return None
    labels = run.labels
    order = [part_name(part, t) for part in parts]
    x, y, tint = vega.quantity("rows", t("rows")), vega.name("label", labels), vega.color("part", order)
    bars: Spec = {"mark": "bar", "encoding": {"x": x, "y": y, "color": tint}}
    columns = {"label": (t("label"), ""), "part": (t("part"), ""), "rows": (t("rows"), COUNT)}
    return vega.chart(rows, columns, [bars], height=36 * len(labels), about=t("fig.balance.title"))


def lengths(run: RunFiles, t: Translator) -> Spec | None:
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
    bars = vega.bar_of_range(vega.texts("n", t("texts"), rows), {"title": t("characters")}, vega.SERIES[0])
    columns = {"from": (t("from"), ",.0f"), "to": (t("to"), ",.0f"), "n": (t("texts"), COUNT)}
    return vega.chart(rows, columns, [bars], height=150, about=t("fig.lengths.title"))

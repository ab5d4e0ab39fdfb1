"""Every chart of the page, by its place: a function from files or figures to a Vega-Lite spec, or None when they do not hold it.

To add one: write a function, list it here, put its words (`fig.<name>.title`, `.text`, `.none`) into page/strings.json and
`figure(charts, view.key, "<name>")` into page/run.html or page/comparison.html.
"""

from collections.abc import Callable

from fintune.report.comparison_charts import intervals, learning_curve, pareto
from fintune.report.confidence_charts import calibrated, confidence_right, confidence_wrong, reliability, risk_coverage
from fintune.report.data_charts import balance, lengths
from fintune.report.run_files import RunFiles
from fintune.report.score_charts import against, per_class
from fintune.report.training_charts import loss, quality
from fintune.report.vega import Spec
from fintune.report.words import Translator
from fintune.runs.schema import ComparisonRecord

RUN_CHARTS: dict[str, Callable[[RunFiles, Translator], Spec | None]] = {
    chart.__name__: chart
    for chart in (
        against,
        per_class,
        confidence_right,
        confidence_wrong,
        reliability,
        calibrated,
        risk_coverage,
        loss,
        quality,
        balance,
        lengths,
    )
}
COMPARISON_CHARTS: dict[str, Callable[[ComparisonRecord, Translator], Spec | None]] = {
    chart.__name__: chart for chart in (intervals, pareto, learning_curve)
}

"""Scores on a terminal: with their intervals, by label, gold label against answer."""

from collections.abc import Iterator, Mapping, Sequence

from fintune.data.table import _LEVELS
from fintune.evaluation.confidence import ConfidenceCheck
from fintune.evaluation.drift import EFFECTS, Drift
from fintune.evaluation.recalibrate import Recalibration
from fintune.inference.calibration.table import CONFIDENCE_TITLES, errors_table, figures
from fintune.records import Claims, Scores
from fintune.runtime.layout import Table, Text
from fintune.tasks.lookup import averages_in, confusion_in, interval, metric_of, of_labels, support_in
from fintune.tasks.metric import LOSSES


def scores_table(rows: Mapping[str, Scores], headline: Sequence[str], *, confidence: float) -> Table:
    """One row a model, one column a headline metric, each with its interval."""
    shares = [metric_of(name).title for name in headline if metric_of(name).share]
    per_cent = f"; {' and '.join(shares)} in per cent" if shares else ""
    table = Table(f"{100 * confidence:g}% bootstrap intervals{per_cent}")
    table.add_column("model, part", no_wrap=True)
    for metric in headline:
        table.add_column(metric_of(metric).title, justify="right", no_wrap=True)
    for name, scores in rows.items():
        table.add_row(Text(name), *(interval(metric, scores[metric]) for metric in headline))
    return table


def worth(claims: Claims) -> Iterator[Text]:
    """Yield what scores are worth, a line a statement."""
    for part, statement in claims.shown():
        yield Text(f"{part}: {statement.text}", _LEVELS[statement.level])


def losses(scores: Scores) -> Text:
    """Answer loss and perplexity in one line."""
    shown = (
        f"{metric.title} {interval(metric.name, scores[metric.name])}" for metric in LOSSES if metric.name in scores
    )
    return Text(" · ".join(shown))


def confidence_table(check: ConfidenceCheck) -> Iterator[Table | Text]:
    """Yield what probabilities are worth before and after calibration, and what passes its thresholds."""
    yield errors_table(
        "confidence here, before and after calibration", check.raw, check.calibrated, [check.raw_floor, check.floor]
    )
    for one in check.accepted:
        share = f"{one.errors / one.accepted:.1%}" if one.accepted else "none"
        passed = f"{one.accepted:,} of {one.texts:,} texts pass, {one.errors:,} of them wrong ({share})"
        yield Text(f"threshold for at most {100 * one.max_error:.3g} % of errors: {passed}")


def gains_table(again: Recalibration) -> Table:
    """Return errors before and after a calibration on rows of another source, and what it gained, each with its interval."""
    table = Table(f"confidence on {again.left:,} other rows of that source, before and after, and what is better by")
    for heading in ("", "before", "after", "better by"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, heading in CONFIDENCE_TITLES.items():
        table.add_row(heading, *(figures(scores[name]) for scores in (again.before, again.after, again.gains)))
    return table


def drift_table(result: Drift) -> Table:
    """Return each test of new texts, its effect and its p."""
    table = Table(f"{result.new:,} new texts beside {result.reference:,}; p corrected for {len(result.tests)} tests")
    table.add_column("test", no_wrap=True)
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("what the effect is")
    for test in result.tests:
        table.add_row(test.name, f"{test.effect:.3f}", f"{test.p:.3f}", EFFECTS[test.name])
    return table


def labels_tables(scores: Scores) -> Iterator[Table | Text]:
    """Yield scores of each label, their averages, and how often each was answered as each; nothing where a task has no labels."""
    if not (by_label := of_labels(scores)):
        return
    table = Table("per label, in per cent")
    table.add_column("label", no_wrap=True)
    for metric in next(iter(by_label.values())):
        table.add_column(metric_of(metric).title, justify="right", no_wrap=True)
    table.add_column(metric_of("support").title, justify="right", no_wrap=True)
    support = support_in(scores)
    for label, own in by_label.items():
        figures = [interval(metric, score) for metric, score in own.items()]
        table.add_row(Text(label), *figures, f"{support[label]:,}" if label in support else "")
    yield table
    if averages := averages_in(scores):
        yield Text(" · ".join(f"{metric_of(name).title} {interval(name, score)}" for name, score in averages.items()))
    confusion = Table("gold label (row), answered as (column)", zeros="0")
    confusion.add_column("gold", no_wrap=True)
    counts = confusion_in(scores)
    for label in counts:
        confusion.add_column(Text(label), justify="right")
    for gold, row in counts.items():
        confusion.add_row(Text(gold), *map(str, row.values()))
    yield confusion

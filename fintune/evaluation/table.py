"""Scores on a terminal: with their intervals, by label, gold label against answer."""

from collections.abc import Iterator, Mapping, Sequence

from fintune.data.table import _LEVELS
from fintune.records import Claims, Scores
from fintune.runtime.layout import Table, Text
from fintune.tasks.metrics import HEADLINE, interval


def scores_table(rows: Mapping[str, Scores], *, confidence: float) -> Table:
    """One row a model, one column a headline metric, each with its interval."""
    table = Table(f"{100 * confidence:g}% bootstrap intervals; accuracy and F1 in per cent")
    table.add_column("model, part", no_wrap=True)
    for metric in HEADLINE:
        table.add_column(metric.replace("_", " "), justify="right", no_wrap=True)
    for name, scores in rows.items():
        table.add_row(Text(name), *(interval(metric, scores[metric]) for metric in HEADLINE))
    return table


def worth(claims: Claims) -> Iterator[Text]:
    """Yield what scores are worth, a line a statement."""
    for part, statement in claims.shown():
        yield Text(f"{part}: {statement.text}", _LEVELS[statement.level])


def losses(scores: Scores) -> Text:
    """Answer loss and perplexity in one line."""
    shown = (
        f"{metric.replace('_', ' ')} {interval(metric, scores[metric])}" for metric in ("answer_loss", "perplexity")
    )
    return Text(" · ".join(shown))


def classes_table(scores: Scores, labels: Sequence[str]) -> Table:
    """Precision, recall and F1 of each label."""
    table = Table("per label, in per cent")
    table.add_column("label", no_wrap=True)
    for metric in ("precision", "recall", "f1"):
        table.add_column(metric, justify="right", no_wrap=True)
    for label in labels:
        shares = (interval(metric, scores[f"{metric}/{label}"]) for metric in ("precision", "recall", "f1"))
        table.add_row(Text(label), *shares)
    return table


def confusion_table(scores: Scores, labels: Sequence[str]) -> Table:
    """How often each label was answered as each."""
    table = Table("gold label (row), answered as (column)", zeros="0")
    table.add_column("gold", no_wrap=True)
    for label in labels:
        table.add_column(Text(label), justify="right")
    for gold in labels:
        table.add_row(Text(gold), *(f"{scores[f'confusion/{gold}/{answered}'].value:.0f}" for answered in labels))
    return table

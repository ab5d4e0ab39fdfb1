"""How results look on a terminal: rich tables and progress bars. Builds, never prints; the CLI prints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fintune.data.checks import DataReport
from fintune.export.model_card import HEADLINE, interval
from fintune.progress import Progress as Event
from fintune.progress import listening
from fintune.records import Prediction, Scores


@contextmanager
def progress_bars(console: Console) -> Iterator[None]:
    """Draw what the library reports inside the block: a bar a stage, a line a message."""
    bars = Progress(
        TextColumn("{task.description:<17}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    shown: dict[str, TaskID] = {}

    def listen(event: Event) -> None:
        if event.total == 0:
            console.print(Text(f"{event.stage:<11}{event.note}"), soft_wrap=True)
            return
        if event.stage not in shown:
            shown[event.stage] = bars.add_task(event.stage, total=event.total, note="")
        bars.update(shown[event.stage], completed=event.done, total=event.total, note=event.note)
        if event.done >= event.total:
            bars.remove_task(shown.pop(event.stage))

    with bars, listening(listen):
        yield


def scores_table(rows: Mapping[str, Scores], *, confidence: float) -> Table:
    """One row a model, one column a headline metric, each with its interval."""
    table = _table(f"{100 * confidence:g}% bootstrap intervals; accuracy and F1 in per cent")
    table.add_column("model, part", no_wrap=True)
    for metric in HEADLINE:
        table.add_column(metric.replace("_", " "), justify="right", no_wrap=True)
    for name, scores in rows.items():
        table.add_row(Text(name), *(interval(metric, scores[metric]) for metric in HEADLINE))
    return table


def losses(scores: Scores) -> Text:
    """Answer loss and perplexity in one line."""
    shown = (
        f"{metric.replace('_', ' ')} {interval(metric, scores[metric])}" for metric in ("answer_loss", "perplexity")
    )
    return Text(" · ".join(shown))


def classes_table(scores: Scores, labels: Sequence[str]) -> Table:
    """Precision, recall and F1 of each label."""
    table = _table("per label, in per cent")
    table.add_column("label", no_wrap=True)
    for metric in ("precision", "recall", "f1"):
        table.add_column(metric, justify="right", no_wrap=True)
    for label in labels:
        shares = (interval(metric, scores[f"{metric}/{label}"]) for metric in ("precision", "recall", "f1"))
        table.add_row(Text(label), *shares)
    return table


def confusion_table(scores: Scores, labels: Sequence[str]) -> Table:
    """How often each label was answered as each."""
    table = _table("gold label (row), answered as (column)")
    table.add_column("gold", no_wrap=True)
    for label in labels:
        table.add_column(Text(label), justify="right")
    for gold in labels:
        table.add_row(Text(gold), *(f"{scores[f'confusion/{gold}/{answered}'].value:.0f}" for answered in labels))
    return table


def report_table(report: DataReport, fingerprint: str) -> Table:
    """What was found in the data."""
    table = _table("data", show_header=False)
    facts: dict[str, Any] = {
        "rows": f"{report.rows:,}",
        "labels": _counts(report.labels),
        "empty texts": report.empty_texts,
        "exact duplicates": f"{report.exact_duplicates} (dropped)",
        "texts with two labels": report.conflicting_texts,
        "near-duplicates": f"{report.near_duplicate_rows} rows in {report.near_duplicate_clusters} clusters, each kept on one side",
        "words a text": f"median {report.median_words:g}, longest {report.longest_words}",
        **{part: f"{sum(labels.values()):,} ({_counts(labels)})" for part, labels in report.parts.items()},
        "fingerprint": fingerprint,
    }
    for name, value in facts.items():
        table.add_row(name, Text(str(value)))
    return table


def predictions_table(predictions: Sequence[Prediction]) -> Table:
    """Label, probability of each label, text."""
    table = _table()
    table.add_column("label")
    for label in predictions[0].probabilities if predictions else ():
        table.add_column(Text(label), justify="right")
    table.add_column("text")
    for p in predictions:
        table.add_row(
            Text(p.label or f"? {p.answer}"), *(f"{value:.3f}" for value in p.probabilities.values()), Text(p.text)
        )
    return table


def listing(rows: Sequence[Mapping[str, str]]) -> Table:
    """A plain table; the keys of the first row are the columns."""
    table = _table()
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    return table


def _table(title: str | None = None, *, show_header: bool = True) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=title,
        title_justify="left",
        title_style="dim",
        show_header=show_header,
    )


def _counts(labels: Mapping[str, int]) -> str:
    return " · ".join(f"{label} {count:,}" for label, count in labels.items())

"""How a comparison looks on a terminal: scores by group, costs, the learning curve, and what to do. Builds, never prints.

Example:
    for part in comparison_tables(content):
        console.print(part)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from fintune.comparison.content import ComparisonContent, MetricScores, PointContent, RowContent
from fintune.records import Score
from fintune.runtime.layout import Table, Text
from fintune.runtime.units import duration
from fintune.tasks.lookup import interval, metric_of

_UNKNOWN = "-"
_T = TypeVar("_T")


def _shown(cost: _T | None, write: Callable[[_T], str]) -> str:
    return _UNKNOWN if cost is None else write(cost)


_COSTS: Mapping[str, Callable[[RowContent], str]] = {
    "seeds": lambda row: str(row["seeds"]),
    "parameters": lambda row: _shown(row["trainable_parameters"], "{:,}".format),
    "adapter": lambda row: _shown(row["adapter_mb"], "{:.2f} MB".format),
    "training": lambda row: _shown(row["train_seconds"], duration),
    "memory": lambda row: _shown(row["peak_memory_bytes"], lambda size: f"{size / 1e9:.2f} GB"),
    "per 1,000": lambda row: _shown(row["seconds_per_1000"], "{:.1f} s".format),
    "forgetting": lambda row: _shown(row["forgetting"], lambda p: f"{p['before']:.1f} to {p['after']:.1f}"),
}
"""Columns of the table of costs; one without a figure is left out."""


def comparison_tables(content: ComparisonContent) -> Iterator[Table | Text]:
    """Yield everything of a comparison.json that a person reads, in the order of its use."""
    yield scores(content)
    if content["leaks"]:
        yield Text(leaking(content), style="bold")
    yield costs(content["rows"])
    if content["learning_curve"]:
        yield learning_curve(content["learning_curve"], content["headline"])
    for failed in content["failed"]:
        yield Text(f"left out: {failed['name']}: {failed['reason']}")
    yield Text(f"no row is better at as little training time as: {', '.join(content['pareto'])}")
    yield Text(content["recommendation"], style="bold")


def scores(content: ComparisonContent) -> Table:
    """Return a row a method or baseline, a line between groups."""
    table = Table(
        f"{content['part']}, n = {content['n']:,}; {100 * content['confidence']:g}% intervals over seeds and texts; "
        "rows of one group cannot be told apart from its first"
    )
    table.add_column("", no_wrap=True)
    table.add_column("row", no_wrap=True)
    for metric in content["headline"]:
        table.add_column(metric_of(metric).title, justify="right", no_wrap=True)
    rows = content["rows"]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        shown = _intervals(row["scores"])
        last = after is not None and after["group"] != row["group"]
        clean = row["clean"]
        table.add_row(str(row["group"]), _name(row), *shown, end_section=last and not clean)
        if clean:
            table.add_row("", f"  {_n(clean):,} new texts", *_intervals(clean), end_section=last)
    return table


def leaking(content: ComparisonContent) -> str:
    """Return that models know texts of the part, and where their scores on the others stand."""
    head = (
        f"{content['leaks']:,} of the {content['n']:,} texts stand in train or validation too, word by word or nearly"
    )
    if not any(row["clean"] for row in content["rows"]):
        return f"{head}: how good a row is on new texts is not known."
    return f"{head}: each row's scores on the new ones stand below it; groups and pairs are of all."


def costs(rows: Sequence[RowContent]) -> Table:
    """Return what each row takes."""
    table = Table("costs of one run: time of the optimizer's steps, peak memory, time to score 1,000 texts")
    table.add_column("row", no_wrap=True)
    shown = {head: write for head, write in _COSTS.items() if any(write(row) != _UNKNOWN for row in rows)}
    for head in shown:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(_name(row), *(write(row) for write in shown.values()))
    return table


def learning_curve(points: Sequence[PointContent], headline: Sequence[str]) -> Table:
    """Return the first headline metric by size of the train part."""
    metric, sizes = headline[0], sorted({point["size"] for point in points})
    table = Table(f"{metric_of(metric).title} by examples to learn from")
    table.add_column("row", no_wrap=True)
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    cells = {(p["name"], p["size"]): interval(metric, Score(**p["scores"][metric])) for p in points}
    for name in dict.fromkeys(p["name"] for p in points):
        table.add_row(Text(name), *(cells.get((name, size), _UNKNOWN) for size in sizes))
    return table


def _intervals(scores: MetricScores) -> list[str]:
    return [interval(metric, Score(**score)) for metric, score in scores.items()]


def _n(scores: MetricScores) -> int:
    return int(next(iter(scores.values()))["n"])


def _name(row: RowContent) -> Text:
    return Text(row["name"], "" if row["kind"] == "method" else "italic")

"""How a comparison looks on a terminal: scores by group, costs, the learning curve, and what to do. Builds, never prints.

>>> for part in comparison_tables(content):
...     console.print(part)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fintune.display import empty_table
from fintune.durations import duration
from fintune.evaluation.significance import METRICS
from fintune.export.model_card import interval
from fintune.records import Score

_UNKNOWN = "-"


def comparison_tables(content: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Everything of a comparison.json that a person reads, in the order of its use."""
    yield scores(content)
    yield costs(content["rows"])
    if content["learning_curve"]:
        yield learning_curve(content["learning_curve"])
    for failed in content["failed"]:
        yield Text(f"left out: {failed['name']}: {failed['reason']}")
    yield Text(f"no row is better at less training time than: {', '.join(content['pareto'])}")
    yield Text(content["recommendation"], style="bold")


def scores(content: Mapping[str, Any]) -> Table:
    """A row a method or challenger, a line between groups."""
    table = empty_table(
        f"{content['part']}, n = {content['n']:,}; {100 * content['confidence']:g}% intervals over seeds and texts; "
        "rows of one group cannot be told apart from its first"
    )
    table.add_column("", no_wrap=True)
    table.add_column("row", no_wrap=True)
    for metric in METRICS:
        table.add_column(metric.replace("_", " "), justify="right", no_wrap=True)
    rows = content["rows"]
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        shown = _intervals(row["scores"])
        last = after is not None and after["group"] != row["group"]
        table.add_row(str(row["group"]), _name(row), *shown, end_section=last)
    return table


def costs(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each row takes."""
    table = empty_table("costs of one run: time of the optimizer's steps, peak memory, time to score 1,000 texts")
    table.add_column("row", no_wrap=True)
    for name in ("seeds", "parameters", "adapter", "training", "memory", "1,000 texts", "forgetting"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            _name(row),
            str(row["seeds"]),
            _known(row["trainable_parameters"], "{:,}".format),
            _known(row["adapter_mb"], "{:.2f} MB".format),
            _known(row["train_seconds"], duration),
            _known(row["peak_memory_bytes"], lambda size: f"{size / 1e9:.2f} GB"),
            _known(row["seconds_per_1000"], "{:.1f} s".format),
            _known(row["forgetting"], lambda found: f"{found['before']:.1f} to {found['after']:.1f}"),
        )
    return table


def learning_curve(points: Sequence[Mapping[str, Any]]) -> Table:
    """The first metric by size of the train part."""
    metric, sizes = next(iter(METRICS)), sorted({point["size"] for point in points})
    table = empty_table(f"{metric.replace('_', ' ')} by examples to learn from")
    table.add_column("row", no_wrap=True)
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    found = {(p["name"], p["size"]): interval(metric, Score(**p["scores"][metric])) for p in points}
    for name in dict.fromkeys(p["name"] for p in points):
        table.add_row(Text(name), *(found.get((name, size), _UNKNOWN) for size in sizes))
    return table


def _intervals(scores: Mapping[str, Any]) -> list[str]:
    return [interval(metric, Score(**scores[metric])) for metric in METRICS]


def _name(row: Mapping[str, Any]) -> Text:
    return Text(row["name"], "" if row["kind"] == "method" else "italic")


def _known(value: Any, say: Any) -> str:
    return _UNKNOWN if value is None else str(say(value))

"""What exports cost and keep, as a table for the screen or for a document."""

from collections.abc import Callable, Sequence

from fintune.export.export import Exported, Refused
from fintune.runs.export_schema import ExportRecord, VerificationRecord
from fintune.runtime.layout import Table
from fintune.tasks.lookup import metric_of


def exports(results: Sequence[Exported | Refused]) -> Table:
    """Return what exports weigh, how fast they answer, and how their answers differ from the run's."""
    table = Table("beside the answers of the adapter, in full precision")
    for column in ("format", "MB", "loads in", "texts/s", "largest difference", "answers kept", "score"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for result in results:
        if isinstance(result, Refused):
            table.add_row(f"{result.format}, {result.dtype}", *[""] * 4, "refused", "")
            continue
        one = result.facts
        table.add_row(
            f"{one['format']}, {one['dtype']}",
            f"{one['megabytes']:,.1f}",
            f"{one['load_seconds']:.1f} s",
            f"{one['texts_per_second']:.1f}",
            f"{_difference(one)}{_as_scored(one, _difference)}",
            f"{_kept(one)} of {one['texts']}{_ties(one)}{_as_scored(one, lambda record: str(_kept(record)))}",
            _score(one),
        )
    return table


def _score(record: VerificationRecord) -> str:
    """Return how good it is, and what was lost of that; nothing where no gold answers are known."""
    now, was, metric = record["score"], record["score_of_run"], metric_of(record["metric"])
    return (
        "" if now is None or was is None else f"{metric.title} {metric.figure(now)} ({metric.figure(now - was, '+')})"
    )


def _kept(record: VerificationRecord) -> int:
    """Return the number of texts with the very answer of before."""
    return record["texts"] - record["changed"] - record.get("near_ties", 0)


def _difference(record: VerificationRecord) -> str:
    return f"{record['largest_difference']:.1g}"


def _ties(record: VerificationRecord) -> str:
    ties = record.get("near_ties", 0)
    return f", {ties} near tie{'s' * (ties > 1)}" if ties else ""


def _as_scored(record: ExportRecord, shown: Callable[[VerificationRecord], str]) -> str:
    """Return the same beside a rounded base model, on which the run was scored."""
    beside = record.get("beside_the_run")
    return "" if beside is None else f" (as scored, on a rounded base: {shown(beside)})"


def markdown(table: Table) -> str:
    """Return a table for a document."""
    columns = [[column.header, "---", *column.cells] for column in table.columns]
    lines = list(zip(*columns, strict=True))
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

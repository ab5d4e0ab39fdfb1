"""What exports cost and keep, as a table for the screen or for a document."""

from collections.abc import Mapping, Sequence
from typing import Any

from fintune.runtime.layout import Table


def exports(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return what exports weigh, how fast they answer, and how their answers differ from the run's."""
    table = Table("beside the answers of the adapter, in full precision")
    for column in ("format", "MB", "loads in", "texts/s", "largest difference", "labels kept", "accuracy"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for one in found:
        if "refused" in one:
            table.add_row(f"{one['format']}, {one['dtype']}", *[""] * 4, "refused", "")
            continue
        table.add_row(
            f"{one['format']}, {one['dtype']}",
            f"{one['megabytes']:,.1f}",
            f"{one['load_seconds']:.1f} s",
            f"{one['texts_per_second']:.1f}",
            f"{one['largest_difference']:.1g}{_beside(one, 'largest_difference', '.1g')}",
            f"{_kept(one)} of {one['texts']}{_ties(one)}{_beside(one, 'kept', 'd')}",
            _accuracy(one),
        )
    return table


def _accuracy(one: Mapping[str, Any]) -> str:
    """With what was lost of it; nothing where no labels are known."""
    now, was = one["accuracy"], one["accuracy_of_run"]
    return "" if now is None else f"{100 * now:.1f} ({100 * (now - was):+.1f})"


def _kept(one: Mapping[str, Any]) -> int:
    """Texts with the very label of before."""
    return int(one["texts"] - one["changed"] - one.get("near_ties", 0))


def _ties(one: Mapping[str, Any]) -> str:
    return f", {one['near_ties']} near tie{'s' * (one['near_ties'] > 1)}" if one.get("near_ties") else ""


def _beside(one: Mapping[str, Any], what: str, digits: str) -> str:
    """Return the same beside a rounded base model, on which the run was scored."""
    beside = one.get("beside_the_run")
    if beside is None:
        return ""
    value = _kept(beside) if what == "kept" else beside[what]
    return f" (as scored, on a rounded base: {value:{digits}})"


def markdown(table: Table) -> str:
    """Return a table for a document."""
    columns = [[column.header, "---", *column.cells] for column in table.columns]
    lines = list(zip(*columns, strict=True))
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

"""A trimmed model on a terminal."""

from typing import TYPE_CHECKING

from fintune.runtime.layout import Table

if TYPE_CHECKING:
    from fintune.compression.trim import Trimmed


def trimmed(result: "Trimmed") -> Table:
    """Show tokens, parameters and megabytes of a trimmed model, and how nearly it equals the whole one."""
    table = Table(result.folder)
    table.add_column("", no_wrap=True)
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    table.add_row("tokens", *(f"{n:,}" for n in result.tokens))
    table.add_row("parameters", *(f"{n:,}" for n in result.parameters))
    table.add_row("weights", "", f"{result.bytes / 1e6:,.0f} MB")
    for what in ("logits", "probabilities") if result.verified else ():
        table.add_row(f"largest difference of {what}", "", f"{result.verified[what]:.0e}")
    return table

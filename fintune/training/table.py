"""What `fintune plan` estimates, on a terminal."""

from typing import TYPE_CHECKING

from fintune.runtime.layout import Table, Text
from fintune.runtime.units import duration

if TYPE_CHECKING:
    from fintune.training.plan import Estimate


def estimate_table(estimate: "Estimate") -> Table:
    """Return what a run would take, part by part."""
    table = Table(
        f"from {estimate.measured} steps of {estimate.steps:,}, {estimate.step_seconds:.1f} s each", show_header=False
    )
    for part, size in estimate.memory.items():
        table.add_row(part, Text(f"{size / 1e9:.2f} GB", justify="right"))
    fits = "" if estimate.fits else ": too much"
    table.add_row(
        "memory at most", Text(f"{estimate.peak / 1e9:.2f} GB of {estimate.machine / 1e9:.1f}{fits}", justify="right")
    )
    table.add_section()
    for stage, seconds in estimate.times.items():
        table.add_row(stage, Text(duration(seconds), justify="right"))
    table.add_row("time in all", Text(duration(estimate.seconds), justify="right"))
    return table

"""What `fintune plan` estimates, on a terminal."""

from typing import TYPE_CHECKING

from fintune.runtime.layout import Table, Text
from fintune.runtime.units import duration

if TYPE_CHECKING:
    from fintune.training.plan import Estimate


def estimate(found: "Estimate") -> Table:
    """Return what a run would take."""
    table = Table(f"from {found.measured} steps of {found.steps:,}, {found.step_seconds:.1f} s each", show_header=False)
    for part, size in found.memory.items():
        table.add_row(part, Text(f"{size / 1e9:.2f} GB", justify="right"))
    fits = "" if found.fits else ": too much"
    table.add_row(
        "memory at most", Text(f"{found.peak / 1e9:.2f} GB of {found.machine / 1e9:.1f}{fits}", justify="right")
    )
    table.add_section()
    for stage, seconds in found.times.items():
        table.add_row(stage, Text(duration(seconds), justify="right"))
    table.add_row("time in all", Text(duration(found.seconds), justify="right"))
    return table

"""What the library reports while it works, as bars and lines on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from fintune.cli.screen import Screen
from fintune.runtime.layout import Text
from fintune.runtime.printable import one_line, printable
from fintune.runtime.progress import Progress as Event
from fintune.runtime.progress import listening

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def progress_bars(console: Screen) -> Iterator[None]:
    """Draw what the library reports inside the block: a bar a stage, a line a message."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description:<17}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    shown: dict[str, TaskID] = {}

    def listen(event: Event) -> None:
        if event.note and event.total == 0:
            console.sentence(Text(one_line(event.note)), lead=f"{printable(event.stage):<11}")
            return
        if event.stage not in shown:
            shown[event.stage] = bars.add_task(event.stage, total=event.total or None, note="")
        bars.update(shown[event.stage], completed=event.done, total=event.total or None, note=one_line(event.note))
        if event.done >= event.total > 0:
            bars.remove_task(shown.pop(event.stage))

    # rich 14.2 prints a blank line at the end of bars that are disabled
    with bars if console.is_terminal else nullcontext(), listening(listen):
        yield

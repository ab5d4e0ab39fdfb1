"""The two streams, so that nothing from outside steers them: whoever writes, what is not a letter arrives as an escape.

After `guard_streams()`, printing "paid" and the control sequence ESC [2J shows the letters `paid \\x1b[2J`.
"""

import sys
from collections.abc import Iterable
from typing import IO, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text as RichText

from fintune.runtime.layout import Text
from fintune.runtime.printable import printable


class Screen(Console):
    """A console that shows texts as they are: no markup, no links, no control characters but its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def sentence(self, text: RichText, lead: str = "") -> None:
        """Print a sentence behind `lead`: on a terminal broken between words, below its own beginning, elsewhere in one piece."""
        if not self.is_terminal:
            self.print(Text(lead).append(text), soft_wrap=True)
            return
        for line in text.wrap(self, max(1, self.width - len(lead))):
            line.rstrip()
            self.print(Text(lead).append(line))
            lead = " " * len(lead)

    @property
    def file(self) -> IO[str]:
        """Where it writes: behind the guard, also while bars stand before it as rich's own stream."""
        file = super().file
        return file.rich_proxied_file if isinstance(file, GuardedStream) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of a renderable, with escapes where it holds what a terminal would obey."""
        for text, style, control in super().render(renderable, options):
            if control:
                yield Segment(text, style, control)
            else:
                yield Segment(printable(text), style.update_link(None) if style and style.link else style)


class GuardedStream:
    """A text stream whose writers are not trusted: libraries, tracebacks, warnings."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """Where a console writes its own colors and cursor moves."""

    def write(self, text: str) -> int:
        """Write with escapes for what a terminal would obey."""
        self.rich_proxied_file.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def guard_streams() -> None:
    """From now on this process's two streams are guarded."""
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), GuardedStream):
            setattr(sys, name, GuardedStream(stream))

"""Tables that fit their screen: numbers, labels and lines of files are never cut, texts take what is left.

Where that does not do, intervals go below their figures; else rows become blocks.

Example:
    table = Table("labels to review")
    table.add_column("row", no_wrap=True)
    table.add_column("text")
    table.add_row("news.csv:17", "Profit fell.")
    console.print(table)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import rich.table
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.text import Text as RichText

from fintune.runtime.printable import BESIDE, printable

Justify = Literal["left", "right"]
_NARROWEST = 24
"""Cells that a text, or a file name with its line, is given at least."""
_PROSE = 2 * _NARROWEST
"""Cells from which on a column holds texts, which read badly a word a line."""
_NUMBER = 7
"""Cells of a value that is written before a long header."""
_INTERVAL = re.compile(r"(\S+) (\[[^\]]+\])")
"""A figure and its interval, as in `85.7 [80.8, 90.7]`."""
_PLACE = re.compile(r"(.+)(:\d+)")
"""A file and its line, as in `news.csv:17`."""


class Text(RichText):
    """Text in which a terminal finds no orders; rich alone would drop some of them without a trace."""

    def __init__(self, text: str = "", style: str | Style = "", *, justify: Justify | None = None) -> None:
        super().__init__(printable(text), style, justify=justify, overflow="fold")

    def append(self, text: RichText | str, style: str | Style | None = None) -> "Text":
        """Add text with a style of its own."""
        super().append(printable(text) if isinstance(text, str) else text, style)
        return self


@dataclass
class Column:
    """A column; `exact` ones hold numbers, labels or names, which are never broken."""

    header: str
    justify: Justify
    exact: bool
    cells: list[RichText] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """Every line of every cell."""
        return [line for cell in self.cells for line in cell.plain.split("\n")]

    @property
    def is_places(self) -> bool:
        """Whether it holds places in files."""
        return any(self.lines) and all(_PLACE.fullmatch(line) for line in self.lines if line)

    @property
    def is_intervals(self) -> bool:
        """Whether it holds figures with their intervals."""
        return any(self.lines) and all(_INTERVAL.fullmatch(line) for line in self.lines if line)

    @property
    def natural(self) -> int:
        """Cells it takes unbroken."""
        return max(cell_len(self.header), self.widest)

    @property
    def widest(self) -> int:
        """The same without its header."""
        return max(map(cell_len, self.lines), default=0)

    @property
    def narrowest(self) -> int:
        """Cells it needs at least."""
        header = max(map(cell_len, self.header.split()), default=0)
        if self.is_places:
            return max(header, min(self.widest, _NARROWEST))
        if self.exact:
            return max(header, self.widest)
        words = max((cell_len(word) for line in self.lines for word in line.split()), default=0)
        least = _NARROWEST if self.widest > _PROSE else min(max(words, _NARROWEST // 2), _NARROWEST)
        return max(header, min(self.widest, least))

    @property
    def stacked(self) -> int:
        """The same with intervals below their figures."""
        if not self.is_intervals:
            return self.narrowest
        parts = [part for line in self.lines if (match := _INTERVAL.fullmatch(line)) for part in match.groups()]
        return max(map(cell_len, [*self.header.split(), *parts]))


class Table:
    """Rows under headers, laid out when the width is known. `zeros` are values that blocks leave out."""

    def __init__(self, title: str | None = None, *, show_header: bool = True, zeros: str | None = None) -> None:
        self.title, self.show_header, self.zeros = printable(title or ""), show_header, zeros
        self.columns: list[Column] = []
        self._sections: list[int] = []

    def add_column(self, header: str | RichText = "", *, justify: Justify = "left", no_wrap: bool = False) -> None:
        """Add a column; what is set to the right, or not to be wrapped, is never broken."""
        self.columns.append(Column(printable(str(header)), justify, exact=no_wrap or justify == "right"))

    def add_row(self, *cells: str | RichText, end_section: bool = False) -> None:
        """Add a cell for each column; of a table without headers, columns come with its first row."""
        for _ in cells[len(self.columns) :]:
            self.add_column()
        for column, cell in zip(self.columns, cells, strict=True):
            column.cells.append(cell if isinstance(cell, RichText) else Text(cell))
        if end_section:
            self.add_section()

    def add_section(self) -> None:
        """Draw a line below what is there."""
        self._sections.append(len(self.columns[0].cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        naturals = [column.natural if self.show_header else column.widest for column in self.columns]
        most = options.update(width=100_000)
        frame = console.measure(self._drawn(naturals), options=most).maximum - sum(naturals)
        widths = self._widths(options.max_width - frame, naturals)
        if widths is None:
            yield from self._blocks(options.max_width)
        else:
            yield self._drawn(widths)

    def _widths(self, space: int, naturals: Sequence[int]) -> Sequence[int] | None:
        """Texts give way first, then the names of files; None where even that does not do."""
        if sum(naturals) <= space:
            return naturals
        least = [min(column.narrowest, natural) for column, natural in zip(self.columns, naturals, strict=True)]
        if sum(least) > space:
            naturals = [c.stacked if c.is_intervals else n for c, n in zip(self.columns, naturals, strict=True)]
            least = [min(column.stacked, natural) for column, natural in zip(self.columns, naturals, strict=True)]
        if sum(least) > space:
            return None
        places = [n if c.is_places else m for c, n, m in zip(self.columns, naturals, least, strict=True)]
        least = places if sum(places) <= space else least
        level = next(level for level in range(space, -1, -1) if sum(_raised(least, naturals, level)) <= space)
        return _raised(least, naturals, level)

    def _drawn(self, widths: Sequence[int]) -> rich.table.Table:
        table = rich.table.Table(
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            title=self.title or None,
            title_justify="left",
            title_style="dim",
            show_header=self.show_header,
        )
        for column, width in zip(self.columns, widths, strict=True):
            table.add_column(RichText(column.header), justify=column.justify, width=width, overflow="fold")
        rows = zip(*(_folded(c, w) for c, w in zip(self.columns, widths, strict=True)), strict=True)
        for number, row in enumerate(rows, start=1):
            table.add_row(*row, end_section=number in self._sections)
        return table

    def _blocks(self, width: int) -> Iterator[RenderableType]:
        """One record below the other: what it is called by, then a line for each other value."""
        if self.title or self.zeros is not None:
            yield RichText(f"{self.title}{f'; {self.zeros} is left out' if self.zeros is not None else ''}", "dim")
        named = 1 + next((i for i, column in enumerate(self.columns) if column.header), 0) if self.show_header else 1
        beside = max((cell_len(column.header) for column in self.columns[named:]), default=0)
        for row in zip(*(column.cells for column in self.columns), strict=True):
            yield RichText(" ").join(row[:named])
            for column, cell in zip(self.columns[named:], row[named:], strict=True):
                if cell.plain not in ("", self.zeros):
                    yield from _value(column.header, cell, beside, width)
        yield RichText("")


def _raised(least: Sequence[int], naturals: Sequence[int], level: int) -> list[int]:
    return [max(low, min(high, level)) for low, high in zip(least, naturals, strict=True)]


def _folded(column: Column, width: int) -> Sequence[RichText]:
    """Return the cells; where they are wider than that, names of files without their middle, intervals below their figures."""
    if column.is_intervals and column.widest > width:
        return [Text("\n".join(cell.plain.split(" ", 1)), cell.style) for cell in column.cells]
    if not column.is_places or column.widest <= width:
        return column.cells
    return [Text("\n".join(folded(line, width) for line in cell.plain.split("\n"))) for cell in column.cells]


def folded(place: str, width: int) -> str:
    """Return a file and its line in so many cells: the name loses its middle, the line nothing."""
    match = _PLACE.fullmatch(place)
    if match is None or cell_len(place) <= width:
        return place
    if BESIDE in place:
        one, other = place.split(BESIDE, 1)
        return f"{folded(one, width)}\n{BESIDE.lstrip()}{folded(other, width - 2)}"
    room = max(width - cell_len(match[2]) - 1, 2)
    end, tail = room - room // 2, match[1]
    while cell_len(tail) > end:
        tail = tail[1:]
    return f"{set_cell_size(match[1], room // 2).rstrip()}…{tail}{match[2]}"


def _value(header: str, cell: RichText, beside: int, width: int) -> Iterator[RenderableType]:
    """Yield a value behind its header; where headers leave no room for values, a number before it, anything else below it."""
    value = cell.copy()
    value.justify, value.overflow = "left", "fold"
    head = RichText(header, "dim", overflow="fold")
    if beside <= width // 3:
        yield _side_by_side(head, beside, value, width)
    elif cell_len(value.plain) <= _NUMBER:
        yield _side_by_side(value, _NUMBER, head, width)
    else:
        yield Padding(head, (0, 0, 0, 2))
        yield Padding(value, (0, 0, 0, 4))


def _side_by_side(left: RichText, room: int, right: RichText, width: int) -> Padding:
    grid = rich.table.Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=room)
    grid.add_column(width=width - room - 4, overflow="fold")
    grid.add_row(left, right)
    return Padding(grid, (0, 0, 0, 2))

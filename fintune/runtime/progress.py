"""How long work tells whoever listens where it stands; the library itself never prints.

A listener is installed for the duration of a block (the CLI installs one that draws bars); without one, nothing happens.

Example:
    with listening(print):
        for batch in track(batches, "score"):
            ...
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a stage, total 0 where it is not known; both 0 for a plain message."""

    stage: str
    done: int = 0
    total: int = 0
    note: str = ""


Listener = Callable[[Progress], None]
_listener: ContextVar[Listener | None] = ContextVar("fintune_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every Progress inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(stage: str, note: str) -> None:
    """Report in a line what a stage found or did."""
    advance(stage, 0, 0, note)


def advance(stage: str, done: int, total: int, note: str = "") -> None:
    """Report that `done` of `total` units are finished."""
    if (listener := _listener.get()) is not None:
        listener(Progress(stage, done, total, note))


def track(items: Sequence[Item], stage: str) -> Iterator[Item]:
    """Iterate over `items`, reporting each one as done when the next is asked for."""
    for done, item in enumerate(items):
        advance(stage, done, len(items))
        yield item
    if items:
        advance(stage, len(items), len(items))

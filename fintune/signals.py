"""Being told to stop: SIGTERM, SIGHUP and Ctrl-C unwind like exceptions; long work may first finish what it has in hand.

>>> with deferred() as asked:
...     for step in steps:
...         ...
...         if asked():
...             break
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fintune.progress import tell

_HEEDED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(BaseException):
    """A signal that asks the process to end; unwinds like Ctrl-C, so that nothing half-written stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def heed_signals() -> None:
    """From now on SIGTERM and SIGHUP unwind as Ctrl-C does; a second signal is not heard while the first is cleaned up."""
    for number in _HEEDED:
        if number != signal.SIGINT or signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, _unwind)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Inside the block a first signal is only noted (the function given tells); a second one unwinds at once.

    When the block ends well after a signal, the signal takes effect. Signals nobody heeds, and threads other than the
    main one, are left alone.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            _unwind(number, frame)
        noted.append(number)
        tell("train", "told to stop: saving first; once more to stop at once")

    heeded = _replace_handlers(note) if threading.current_thread() is threading.main_thread() else {}
    try:
        yield lambda: bool(noted)
    finally:
        for number, former in heeded.items():
            signal.signal(number, former)
    if noted:
        _unwind(noted[0], None)


def _replace_handlers(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Put `handler` where a signal would unwind; returns what stood there."""
    unwinding = (_unwind, signal.default_int_handler)
    return {number: signal.signal(number, handler) for number in _HEEDED if signal.getsignal(number) in unwinding}


def _unwind(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)

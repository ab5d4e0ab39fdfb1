"""Being told to stop: SIGTERM, SIGHUP and Ctrl-C unwind like exceptions; long work may first finish what it has in hand.

Example:
    with deferred() as asked:
        for step in steps:
            ...
            if asked():
                break
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fintune.runtime.progress import tell

_HEEDED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(BaseException):
    """A signal that asks the process to end; unwinds like Ctrl-C, so that nothing half-written stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def heed_signals() -> None:
    """From now on SIGTERM and SIGHUP unwind as Ctrl-C does; further signals are not heard while the first is cleaned up.

    What the process was told to ignore (nohup) stays ignored.
    """
    for number in _HEEDED:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _unwind)


class Deferral:
    """Notes the first signal; calling it tells whether there was one."""

    def __init__(self) -> None:
        self.noted = 0
        self.formerly: dict[int, Any] = {}
        """The handlers that stood before."""
        self._at_once = False

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.noted > 0

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block signals unwind: everything worth saving has been saved."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: a second one does what the first would have done."""
        if self.noted or self._at_once:
            self.formerly[number](number, frame)
        self.noted = number
        tell("train", "told to stop: saving first; once more to stop at once")


@contextmanager
def deferred() -> Iterator[Deferral]:
    """Inside the block a first signal is only noted; when the block ends well after one, it takes effect.

    Signals nobody heeds, and threads other than the main one, are left alone.
    """
    deferral = Deferral()
    if threading.current_thread() is threading.main_thread():
        deferral.formerly = _replace_handlers(deferral.note)
    try:
        yield deferral
    finally:
        for number, former in deferral.formerly.items():
            signal.signal(number, former)
    if deferral.noted:
        deferral.formerly[deferral.noted](deferral.noted, None)


def _replace_handlers(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Put `handler` where a signal would unwind; returns what stood there."""
    unwinding = (_unwind, signal.default_int_handler)
    return {number: signal.signal(number, handler) for number in _HEEDED if signal.getsignal(number) in unwinding}


def _unwind(number: int, frame: FrameType | None) -> None:
    for each in _HEEDED:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)

"""How foreseeable failures end: which exception becomes which two lines and exit code; anything else is our defect.

2 a mistake in input or usage; 1 a broken environment; 130 interrupted, 143 told to stop.
"""

import errno
import signal
import sys
from types import FrameType
from typing import Any

import typer

from fintune.errors import BrokenEnvironment, FintuneError, RunError, UsageError, is_out_of_memory

_MISTAKEN_PATHS = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)


class Stopped(BaseException):
    """A signal that asks the process to end; unwinds like Ctrl-C, so that nothing half-written stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def as_error(failure: BaseException) -> FintuneError | None:
    """The two lines for a failure; None when it is not foreseeable."""
    if isinstance(failure, FintuneError):
        return failure
    if isinstance(failure, typer.TyperException):
        return _usage(failure)
    if is_out_of_memory(failure):
        return BrokenEnvironment(
            "out of memory",
            hint="Lower train.micro_batch_tokens, evaluation.batch_size, model.max_length or method.r.",
        )
    if isinstance(failure, OSError):
        return _from_os(failure)
    return None


def heed_signals() -> None:
    """From now on SIGTERM and SIGHUP unwind as Ctrl-C does; a second signal is not heard while the first is cleaned up."""
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def speak_utf8() -> None:
    """Texts are printed as UTF-8 wherever the locale says less; a closed stream swallows them."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure") and (stream.encoding or "").lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)


def _usage(failure: typer.TyperException) -> FintuneError:
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else "fintune"
    return UsageError(failure.format_message().rstrip("."), hint=f"{command} --help")


def _from_os(error: OSError) -> FintuneError:
    where = f"{str(error.filename)[:200]}: " if error.filename else ""
    if error.errno in _MISTAKEN_PATHS:
        return RunError(f"{where}{error.strerror}", hint="Name another path.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BrokenEnvironment(
            f"{where}the disk is full", hint="Free space, or set output to another disk; then run it again."
        )
    return BrokenEnvironment(f"{where}{error.strerror or error}", hint="Check the path and its permissions.")

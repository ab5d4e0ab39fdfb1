"""What libraries and the system raise, as errors of ours; anything else is our defect (hints and exit codes: fintune/errors.py).

2 a mistake in input or usage; 1 a broken environment; 130 interrupted, 143 told to stop.
"""

import errno
import sys
from typing import Any

import typer

from fintune.errors import BrokenEnvironment, FintuneError, RunError, UsageError
from fintune.runtime.library_messages import is_out_of_memory

_MISTAKEN_PATHS = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP)


def as_error(failure: BaseException) -> FintuneError | None:
    """Return the two lines for a failure; None when it is not foreseeable."""
    if isinstance(failure, FintuneError):
        return failure
    if isinstance(failure, typer.TyperException):
        return _usage(failure)
    if is_out_of_memory(failure):
        return BrokenEnvironment(
            "out of memory",
            hint="Free some, raise the limit (ulimit -v), or lower train.micro_batch_tokens, evaluation.batch_size or model.max_length.",
        )
    if isinstance(failure, OSError):
        return _from_os(failure)
    return None


def speak_utf8() -> None:
    """Texts are printed as UTF-8 wherever the locale says less; a closed stream swallows them."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure") and (stream.encoding or "").lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _usage(failure: typer.TyperException) -> FintuneError:
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else "fintune"
    return UsageError(failure.format_message().rstrip("."), hint=f"{command} --help")


def _from_os(error: OSError) -> FintuneError:
    where = f"{str(error.filename)[:200]}: " if error.filename else ""
    if error.errno in _MISTAKEN_PATHS:
        hint = "Name another path, on the command line or in the config (data.path, model.base, output)."
        return RunError(f"{where}{error.strerror}", hint=hint)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BrokenEnvironment(
            f"{where}the disk is full", hint="Free space, or set output to another disk; then run it again."
        )
    if error.errno == errno.EFBIG:
        return BrokenEnvironment(
            f"{where}a file would be larger than is allowed here",
            hint="Raise the limit (ulimit -f unlimited), or name a disk that takes larger files.",
        )
    return BrokenEnvironment(f"{where}{error.strerror or error}", hint="Check the path and its permissions.")

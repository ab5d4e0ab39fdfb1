"""Processes of their own without nine seconds of imports each: forked from one that has imported everything (`forkserver`).

They have real signals, exit codes and streams. What an interpreter reads before its first line (PYTHONIOENCODING, hash seeds), and
what imports print, need `subprocess`.
"""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from multiprocessing import forkserver
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_CONTEXT = multiprocessing.get_context("forkserver")


class Process:
    """`fintune ARGUMENTS` as a process. Its lines on stderr are read while it runs; leaving the block waits for its end."""

    def __init__(self, *arguments: object, largest_file: int | None = None) -> None:
        _CONTEXT.set_forkserver_preload(["tests.preloaded"])
        with chdir(_ROOT):  # where the first process finds `tests`
            forkserver.ensure_running()
        self._folder = Path(tempfile.mkdtemp())
        os.mkfifo(self._folder / "err")
        told = [str(argument) for argument in arguments], self._folder, dict(os.environ), os.getcwd(), largest_file
        self._process = _CONTEXT.Process(target=_run, args=told)
        self._process.start()
        self._err = (self._folder / "err").open(encoding="utf-8")

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def lines(self) -> Iterator[str]:
        """Return lines of stderr as they come, to the end of the process."""
        return iter(self._err.readline, "")

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that has not been waited for."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def is_running(self) -> bool:
        """Say whether it still runs."""
        return self._process.is_alive()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code (negative: the signal), stdout, and what was not read of stderr."""
        err = "" if self._err.closed else self._err.read()
        self._err.close()
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode, (self._folder / "out").read_text("utf-8"), err


def run(*arguments: object, largest_file: int | None = None) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, stdout and stderr."""
    return Process(*arguments, largest_file=largest_file).end()


def _run(
    arguments: list[str], folder: Path, environment: Mapping[str, str], cwd: str, largest_file: int | None
) -> None:
    """In the new process: streams, folder and environment of the one that asked, then the command."""
    for stream, number in ((folder / "out", 1), (folder / "err", 2)):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another here
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    from fintune.cli.app import main

    sys.argv = ["fintune", *arguments]
    main()

"""A command on a real terminal, typed at by a test."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def on_terminal(words: Sequence[str], typed: str, folder: Path) -> tuple[int, str]:
    """Run fintune on a terminal of 80 columns; return its exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    try:
        command = subprocess.Popen(
            [sys.executable, "-m", "fintune", *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while piece := _read(ours):
            shown += piece
        return command.wait(), shown.decode()
    finally:
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side is closed
        return b""

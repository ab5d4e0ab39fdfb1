"""One run of a comparison in a process of its own.

python -m fintune.comparison.worker CONFIG PART REPORT [CODE...]

What it fails with is written to the file REPORT, as JSON; the rest of a run's life is in its folder. It ends, saved, when the
process that started it is gone: that one's end closes standard input.
"""

import json
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

from fintune import errors
from fintune.comparison.jobs import finished_run
from fintune.config.load import load
from fintune.config.plugins import load_code
from fintune.runtime import signals


def main(config: str, part: str, report: str, *code: str) -> None:
    """Make the run. Exits with 2 when it fails foreseeably."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore")
            for path in code:
                load_code(path)
            finished_run(load(config), part)
    except errors.FintuneError as error:
        content = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        Path(report).write_text(json.dumps(content), encoding="utf-8")
        sys.exit(2)


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock an ending interpreter cannot take from a thread
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, signal.SIG_DFL
    )  # a parent that is being told to stop ignores it, and that is inherited
    signals.heed_signals()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main(*sys.argv[1:])

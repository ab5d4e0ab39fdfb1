"""Making the runs of a comparison: one after another in this process, or several at a time in processes of their own.

>>> with Jobs(2, attempts, "validation") as jobs:
...     for attempt in attempts:
...         run = jobs.run_of(attempt)
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Self

from fintune import errors, own_code
from fintune.comparison.attempts import Attempt
from fintune.config import dump
from fintune.errors import BrokenEnvironment, ModelError, TrainingError
from fintune.making import interrupted
from fintune.pipeline import score_part, train
from fintune.progress import tell
from fintune.run import Run, run_of
from fintune.sections import RunConfig

FAILURES = (ModelError, TrainingError, BrokenEnvironment)
"""what a method may fail with while the others go on: it does not fit the model, diverges, or needs more than the machine has"""


def made(config: RunConfig, part: str) -> Run:
    """The finished run of a config, with `part` scored: found, gone on with, or made."""
    run = run_of(config)
    if run.is_finished():
        tell("compare", f"{config.name}: finished already")
    else:
        begun = interrupted(config)
        evaluation = begun.config().evaluation if begun else config.evaluation
        run = train(config.model_copy(update={"evaluation": evaluation}), resume=True)
    if part not in run.scores():
        score_part(run, part)
    return run


def share_of_threads(config: RunConfig, jobs: int) -> RunConfig:
    """With several jobs, each has its share of the cores where train.threads leaves it open."""
    if jobs == 1 or config.train.threads != "auto":
        return config
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return config.model_copy(update={"train": config.train.model_copy(update={"threads": threads})})


class Jobs:
    """Makes runs, `count` at a time; with one, when they are asked for. Leaving it ends what is still being made, saved."""

    def __init__(self, count: int, attempts: Sequence[Attempt], part: str) -> None:
        self._part, self._ended = part, False
        self._processes: set[subprocess.Popen[str]] = set()
        self._failed: set[str] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(count)
        self._made: dict[str, Future[None]] = {}
        for attempt in attempts if count > 1 else ():
            here = copy_context()  # whoever listens to progress here listens to the threads too
            self._made[attempt.config.name] = self._pool.submit(here.run, self._make, attempt)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def run_of(self, attempt: Attempt) -> Run:
        """The finished run, scored. Raises what it failed with."""
        if attempt.config.name in self._made:
            self._made[attempt.config.name].result()
        return made(attempt.config, self._part)

    def _make(self, attempt: Attempt) -> None:
        """In a thread of the pool: start the process and wait for it."""
        run = run_of(attempt.config)
        if attempt.label in self._failed or (run.is_finished() and self._part in run.scores()):
            return
        tell("compare", f"{attempt.config.name}: begun beside others")
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.yaml"
            config.write_text(dump(attempt.config), encoding="utf-8")
            said, complaint, code = self._wait(config)
        if code == 0:
            return
        error = _error(attempt.config.name, said, complaint, code)
        if isinstance(error, FAILURES):
            self._failed.add(attempt.label)
        raise error

    def _wait(self, config: Path) -> tuple[str, str, int]:
        """What the process said, its complaints, and its exit code."""
        command = [sys.executable, "-m", "fintune.comparison.worker", str(config), self._part, *own_code.files()]
        with self._lock:
            if self._ended:
                return "", "", 1
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            )  # a Ctrl-C reaches this process alone, which then tells the others once
            self._processes.add(process)
        said, complaint = process.communicate()
        with self._lock:
            self._processes.discard(process)
        return said, complaint, process.returncode


def _error(name: str, said: str, complaint: str, code: int) -> errors.FintuneError:
    """What a process failed with, as it would have been raised here."""
    if code == 2 and said:
        known = json.loads(said.splitlines()[-1])
        kind = getattr(errors, known["kind"])
        problems = known["message"].split("\n") if kind is errors.ConfigError else known["message"]
        error: errors.FintuneError = kind(problems, hint=known["hint"])
        return error
    last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
    why = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}: {last[0][:200]}"
    return BrokenEnvironment(f"{name}: its process {why}", hint="Fewer --jobs need less memory.")

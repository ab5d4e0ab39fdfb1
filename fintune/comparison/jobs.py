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
from typing import Any, Self

from fintune import errors
from fintune.comparison.planned_runs import Attempt
from fintune.config import plugins
from fintune.config.load import dump
from fintune.config.run_config import RunConfig
from fintune.errors import BrokenEnvironment, ModelError, TrainingError
from fintune.evaluation.score import score_part
from fintune.runs.lifecycle import interrupted
from fintune.runs.run import Run, run_of
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.progress import tell
from fintune.training.train import train

FAILURES = (ModelError, TrainingError, BrokenEnvironment)
"""what a method may fail with while the others go on: it does not fit the model, diverges, or needs more than the machine has"""


def made(config: RunConfig, part: str) -> Run:
    """Return the finished run of a config, with `part` scored: found, gone on with, or made."""
    try:
        return _made(config, part)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise BrokenEnvironment("out of memory", hint="Lower train.micro_batch_tokens, or --jobs.") from error


def _made(config: RunConfig, part: str) -> Run:
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


def threads_each(jobs: int) -> int:
    """Return a job's share of the cores this process may use (affinity, OMP_NUM_THREADS)."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(there, int(asked) if asked.isdigit() and int(asked) else there) // jobs)


class Jobs:
    """Makes runs, `count` at a time; with one, when they are asked for. Leaving it ends what is still being made, saved.

    Each process has its share of the cores in OMP_NUM_THREADS, which `train.threads: auto` heeds.
    """

    def __init__(self, count: int, attempts: Sequence[Attempt], part: str) -> None:
        self._part, self._ended = part, False
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._failed: set[tuple[str, int | None]] = set()
        self._lock = threading.Lock()
        waiting = {a.config.name: a for a in attempts if not self._is_made(a)} if count > 1 else {}
        count = max(1, min(count, len(waiting)))
        self._environment = os.environ | {"OMP_NUM_THREADS": str(threads_each(count))}
        self._pool = ThreadPoolExecutor(count)
        self._made: dict[str, Future[None]] = {}
        for name, attempt in waiting.items():
            here = copy_context()  # whoever listens to progress here listens to the threads too
            self._made[name] = self._pool.submit(here.run, self._make, attempt)

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
        """Return the finished run, scored. Raises what it failed with."""
        if attempt.config.name in self._made:
            self._made[attempt.config.name].result()
        return made(attempt.config, self._part)

    def _is_made(self, attempt: Attempt) -> bool:
        run = run_of(attempt.config)
        return run.is_finished() and self._part in run.scores()

    def _make(self, attempt: Attempt) -> None:
        """In a thread of the pool: start the process and wait for it."""
        if (attempt.label, attempt.size) in self._failed or self._ended:
            return
        tell("compare", f"{attempt.config.name}: begun beside others")
        with tempfile.TemporaryDirectory() as folder:
            code, complaint = self._wait(attempt.config, Path(folder))
            if code == 0:
                return
            error = _error(attempt.config.name, Path(folder) / "said.json", complaint, code)
        if isinstance(error, FAILURES):
            self._failed.add((attempt.label, attempt.size))
        raise error

    def _wait(self, config: RunConfig, folder: Path) -> tuple[int, str]:
        """Exit code and complaints of the process."""
        (folder / "config.yaml").write_text(dump(config), encoding="utf-8")
        told = [str(folder / "config.yaml"), self._part, str(folder / "said.json"), *plugins.files()]
        # -P: nothing is imported from the folder one works in. A session of its own: a Ctrl-C reaches this process alone,
        # which then tells the others once
        command = [sys.executable, "-P", "-m", "fintune.comparison.worker", *told]
        streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with self._lock:
            if self._ended:
                return 1, ""
            process = subprocess.Popen(command, env=self._environment, start_new_session=True, **streams)
            self._processes.add(process)
        with process:  # not communicate(), which would close its input and so say that we are gone
            assert process.stderr is not None
            complaint = process.stderr.read()
        with self._lock:
            self._processes.discard(process)
        return process.returncode, complaint.decode("utf-8", "replace")


def _error(name: str, said: Path, complaint: str, code: int) -> errors.FintuneError:
    """Return what a process failed with, as it would have been raised here."""
    if code == 2 and said.is_file():
        known = json.loads(said.read_text("utf-8"))
        kind = getattr(errors, known["kind"])
        problems = known["message"].split("\n") if kind is errors.ConfigError else known["message"]
        error: errors.FintuneError = kind(problems, hint=known["hint"])
        return error
    last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
    why = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}: {last[0][:200]}"
    return BrokenEnvironment(f"{name}: its process {why}", hint="Fewer --jobs need less memory.")

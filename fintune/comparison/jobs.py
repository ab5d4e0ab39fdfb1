"""Making the runs of a comparison: one after another in this process, or several at a time in processes of their own.

Example:
    with Jobs(2, planned, "validation") as jobs:
        runs = [jobs.run_of(planned_run) for planned_run in planned]
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

from fintune import errors
from fintune.comparison.planned_runs import PlannedRun
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
"""What a method may fail with while the others go on: it does not fit the model, diverges, or needs more than the machine has."""


def finished_run(config: RunConfig, part: str) -> Run:
    """Return the finished run of a config, with `part` scored: the one there is, resumed, or trained."""
    try:
        return _finished_run(config, part)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise BrokenEnvironment("out of memory", hint="Lower train.micro_batch_tokens, or --jobs.") from error


def _finished_run(config: RunConfig, part: str) -> Run:
    run = run_of(config)
    if run.is_finished():
        tell("compare", f"{config.name}: finished already")
    else:
        begun = interrupted(config)  # scored as it was begun; any other part is scored below
        run = train(config.with_(evaluation=begun.config().evaluation) if begun else config, resume=True)
    if part not in run.scores():
        score_part(run, part)
    return run


def threads_each(jobs: int) -> int:
    """Return a job's share of the cores this process may use (affinity, OMP_NUM_THREADS)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(limit) if limit.isdigit() and int(limit) else cores) // jobs)


class Jobs:
    """Makes runs, `count` at a time; with one, when they are asked for. Leaving it ends what is still being made, saved.

    Each process has its share of the cores in OMP_NUM_THREADS, which `train.threads: auto` heeds.
    """

    def __init__(self, count: int, planned: Sequence[PlannedRun], part: str) -> None:
        self._part, self._ended = part, False
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._failed: set[tuple[str, int | None]] = set()
        self._lock = threading.Lock()
        waiting = {run.config.name: run for run in planned if not self._is_finished(run)} if count > 1 else {}
        count = max(1, min(count, len(waiting)))
        self._environment = os.environ | {"OMP_NUM_THREADS": str(threads_each(count))}
        self._pool = ThreadPoolExecutor(count)
        self._started: dict[str, Future[None]] = {}
        for name, run in waiting.items():
            context = copy_context()  # whoever listens to progress here listens to the threads too
            self._started[name] = self._pool.submit(context.run, self._train, run)

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

    def run_of(self, planned: PlannedRun) -> Run:
        """Return the finished run, scored. Raises what it failed with."""
        if planned.config.name in self._started:
            self._started[planned.config.name].result()
        return finished_run(planned.config, self._part)

    def _is_finished(self, planned: PlannedRun) -> bool:
        run = run_of(planned.config)
        return run.is_finished() and self._part in run.scores()

    def _train(self, planned: PlannedRun) -> None:
        """Start the process and wait for it, in a thread of the pool."""
        if (planned.label, planned.size) in self._failed or self._ended:
            return
        tell("compare", f"{planned.config.name}: begun beside others")
        with tempfile.TemporaryDirectory() as folder:
            code, complaint = self._wait(planned.config, Path(folder))
            if code == 0:
                return
            error = _error(planned.config.name, Path(folder) / "error.json", complaint, code)
        if isinstance(error, FAILURES):
            self._failed.add((planned.label, planned.size))
        raise error

    def _wait(self, config: RunConfig, folder: Path) -> tuple[int, str]:
        """Start the process, and return its exit code and complaints once it has ended."""
        (folder / "config.yaml").write_text(dump(config), encoding="utf-8")
        arguments = [str(folder / "config.yaml"), self._part, str(folder / "error.json"), *plugins.files()]
        # -P: nothing is imported from the folder one works in. A session of its own: a Ctrl-C reaches this process alone,
        # which then tells the others once
        command = [sys.executable, "-P", "-m", "fintune.comparison.worker", *arguments]
        with self._lock:
            if self._ended:
                return 1, ""
            process = subprocess.Popen(
                command,
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            self._processes.add(process)
        with process:  # not communicate(), which would close its input and so say that we are gone
            assert process.stderr is not None
            complaint = process.stderr.read()
        with self._lock:
            self._processes.discard(process)
        return process.returncode, complaint.decode("utf-8", "replace")


def _error(name: str, report: Path, complaint: str, code: int) -> errors.FintuneError:
    """Return what a process failed with, as it would have been raised here."""
    if code == 2 and report.is_file():
        failure = json.loads(report.read_text("utf-8"))
        kind = getattr(errors, failure["kind"])
        problems = failure["message"].split("\n") if kind is errors.ConfigError else failure["message"]
        error: errors.FintuneError = kind(problems, hint=failure["hint"])
        return error
    last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
    why = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}: {last[0][:200]}"
    return BrokenEnvironment(f"{name}: its process {why}", hint="Fewer --jobs need less memory.")

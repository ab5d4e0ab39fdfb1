"""Runs made several at a time, in processes of their own: the same runs, the same failures, and none left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fintune.comparison import jobs
from fintune.comparison.compare import compare
from fintune.comparison.jobs import _error, threads_each
from fintune.errors import BrokenEnvironment, ConfigError, DataError
from fintune.runs.run import Run
from fintune.runtime.progress import listening
from tests.conftest import Command
from tests.processes import Process

MINE = Path(__file__).resolve().parents[2] / "examples" / "my_method.py"
FIRM = {"name": "lora", "label": "firm", "lora_alpha": 16}
STILL = {"name": "lora", "label": "still", "train": {"learning_rate": 0}}
DIVERGING = {"name": "lora", "label": "diverging", "train": {"learning_rate": 1e30, "max_grad_norm": 1e30}}


@pytest.fixture
def quick(tiny_config: dict[str, Any]) -> dict[str, Any]:
    tiny_config["train"] |= {"epochs": 1, "batch_size": 8, "threads": 1}
    tiny_config["evaluation"] |= {"baselines": ["majority"], "forgetting": False}
    return tiny_config | {"compare": {"methods": [FIRM, STILL, DIVERGING], "seeds": 1}}


def test_two_at_a_time_make_what_one_makes_and_are_scored_on_test_side_by_side(
    quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del quick["train"]["threads"]
    notes: list[str] = []
    with listening(lambda event: notes.append(event.note)):
        together = compare(quick, ["name=together"], jobs=2)
    assert sum("begun beside others" in note for note in notes) == 3
    runs = sorted((together.folder / "runs").glob("[fs]*"))
    made_by = [Run(run).environment() for run in runs]
    assert [Path(record["command"][0]).name for record in made_by] == ["worker.py", "worker.py"]
    assert [record["torch_threads"] for record in made_by] == [1, 1], "each has its share of two"

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = compare(quick, ["name=alone"])
    for name in ("pairs", "groups", "failed", "fingerprint"):
        assert together.content[name] == alone.content[name], name
    assert [f["name"] for f in together.content["failed"]] == ["diverging"]
    others = [alone.folder / "runs" / run.name for run in runs]
    assert [weights(run) for run in runs] == [weights(run) for run in others]

    made = {run.name for run in (together.folder / "runs").iterdir()}
    for count in (1, 2):
        again = compare(quick, ["name=together"], methods=["firm", "still"], part="test", jobs=count)
        assert {run.name for run in (again.folder / "runs").iterdir()} == made
        assert again.content["part"] == "test"


def weights(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_process_is_told_its_share(quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    original = subprocess.Popen

    def start(command: Any, **how: Any) -> Any:
        if "fintune.comparison.worker" not in command:
            return original(command, **how)
        told.append(how["env"]["OMP_NUM_THREADS"])
        return original([sys.executable, "-c", ""], **how)  # the run is then made here

    monkeypatch.setattr(jobs.subprocess, "Popen", start)
    monkeypatch.setattr(jobs, "threads_each", lambda count: count)
    compare(quick, methods=["firm", "still"], jobs=8)
    assert told == ["2", "2"], "no more processes than runs"


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert [threads_each(count) for count in (1, 2, 3, 20)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert threads_each(2) == 2


@pytest.mark.usefixtures("registries_kept")
def test_methods_of_ones_own_and_foreign_files_beside_them(
    quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fin: Command
) -> None:
    (tmp_path / "filelock.py").write_text("raise SystemExit('run from the folder one works in')")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(quick))
    done = fin("compare", config, "--methods", "scaled-blocks,firm", "--jobs", "2", "--json", "--code", MINE)
    assert {row["name"] for row in json.loads(done.out)["rows"]} == {"scaled-blocks", "firm", "majority"}
    assert json.loads(done.out)["failed"] == []


@pytest.mark.parametrize(
    ("said", "code", "kind", "message"),
    [
        ({"kind": "DataError", "message": "a", "hint": "b"}, 2, DataError, "^a$"),
        ({"kind": "ConfigError", "message": "a\nb", "hint": "c"}, 2, ConfigError, "^a\nb$"),
        (None, -signal.SIGKILL, BrokenEnvironment, "x: its process was ended by signal 9"),
        (None, 1, BrokenEnvironment, "x: its process ended with code 1: ValueError: no"),
        (None, 2, BrokenEnvironment, "x: its process ended with code 2: ValueError: no"),
    ],
)
def test_what_a_process_fails_with_is_raised_here(
    said: Any, code: int, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "said.json"
    if said:
        file.write_text(json.dumps(said))
    with pytest.raises(kind, match=message):
        raise _error("x", file, "Traceback\nValueError: no\n", code)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_comparison_that_is_stopped_stops_its_processes(
    how: signal.Signals, quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick["train"] |= {"epochs": 400}
    quick["compare"]["methods"] = [FIRM, STILL]
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(quick))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # so that the processes name it
    runs = Path(quick["output"]) / "tiny-compare" / "runs"
    with Process("compare", config, "--jobs", "2") as process:
        while process.is_running() and len(list(runs.glob("*/log.jsonl"))) < 2:
            time.sleep(0.05)  # until both have logged a step
        assert len(workers(tmp_path)) == 2
        process.send_signal(how)
        code, _, complaint = process.end()
    assert "Traceback" not in complaint
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 128 + signal.SIGTERM)
    deadline = time.monotonic() + 60
    while workers(tmp_path) and how == signal.SIGKILL and time.monotonic() < deadline:
        time.sleep(0.05)  # they end by themselves, saved
    assert workers(tmp_path) == []
    assert all(Run(run).has_begun_training() for run in runs.iterdir() if run.is_dir()), "saved, to go on with"


def workers(folder: Path) -> list[Path]:
    """Processes of a comparison whose temporary files lie in the folder."""
    found = [p for p in Path("/proc").iterdir() if p.name.isdigit()]
    return [p for p in found if b"fintune.comparison.worker" in _cmdline(p) and str(folder).encode() in _cmdline(p)]


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""

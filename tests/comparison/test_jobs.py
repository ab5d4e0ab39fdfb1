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

from fintune.comparison import compare
from fintune.comparison.making import _error
from fintune.errors import BrokenEnvironment, ConfigError, DataError
from fintune.progress import listening
from fintune.run import Run

FIRM = {"name": "lora", "label": "firm", "lora_alpha": 16}
STILL = {"name": "lora", "label": "still", "train": {"learning_rate": 0}}
DIVERGING = {"name": "lora", "label": "diverging", "train": {"learning_rate": 1e30, "max_grad_norm": 1e30}}


@pytest.fixture
def quick(tiny_config: dict[str, Any]) -> dict[str, Any]:
    tiny_config["train"] |= {"epochs": 1, "batch_size": 8, "threads": 1}
    tiny_config["evaluation"] |= {"baselines": ["majority"]}
    return tiny_config | {"compare": {"methods": [FIRM, STILL, DIVERGING], "seeds": 1}}


def test_two_at_a_time_make_what_one_makes(quick: dict[str, Any]) -> None:
    notes: list[str] = []
    with listening(lambda event: notes.append(event.note)):
        together = compare(quick, ["name=together"], jobs=2)
    assert sum("begun beside others" in note for note in notes) == 3
    alone = compare(quick, ["name=alone"])
    for name in ("pairs", "groups", "failed", "fingerprint"):
        assert together.content[name] == alone.content[name], name
    assert [f["name"] for f in together.content["failed"]] == ["diverging"]
    runs = sorted((together.folder / "runs").glob("[fs]*"))
    adapters = [(run / "adapter" / "adapter_model.safetensors").read_bytes() for run in runs]
    others = [alone.folder / "runs" / run.name for run in runs]
    assert adapters == [(run / "adapter" / "adapter_model.safetensors").read_bytes() for run in others]


def test_threads_are_shared_out_where_the_config_leaves_them_open(
    quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del quick["train"]["threads"]
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    done = compare(quick, methods=["firm"], jobs=4)
    assert Run(done.folder / done.content["rows"][0]["runs"][0]).config().train.threads == 1
    assert {row["name"] for row in done.content["rows"]} == {"firm", "majority"}


@pytest.mark.parametrize(
    ("said", "code", "kind", "message"),
    [
        (json.dumps({"kind": "DataError", "message": "a", "hint": "b"}), 2, DataError, "^a$"),
        (json.dumps({"kind": "ConfigError", "message": "a\nb", "hint": "c"}), 2, ConfigError, "^a\nb$"),
        ("", -signal.SIGKILL, BrokenEnvironment, "x: its process was ended by signal 9"),
        ("", 1, BrokenEnvironment, "x: its process ended with code 1: ValueError: no"),
    ],
)
def test_what_a_process_fails_with_is_raised_here(said: str, code: int, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        raise _error("x", said, "Traceback\nValueError: no\n", code)


def test_a_comparison_that_is_stopped_stops_its_processes_and_goes_on(quick: dict[str, Any], tmp_path: Path) -> None:
    quick["train"] |= {"epochs": 400}
    quick["compare"]["methods"] = [FIRM, STILL]
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(quick))
    command = [sys.executable, "-m", "fintune.cli", "compare", str(config), "--jobs", "2"]
    where = os.environ | {"TMPDIR": str(tmp_path)}  # so that the processes name it
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=where)
    runs = Path(quick["output"]) / "tiny-compare" / "runs"
    while process.poll() is None and len(list(runs.glob("*/log.jsonl"))) < 2:
        time.sleep(0.05)  # until both have logged a step
    assert len(workers(tmp_path)) == 2
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in complaint) == (130, False)
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

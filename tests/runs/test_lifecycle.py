"""Whatever moment a process is killed at, the next one finds the finished run, the interrupted one, or both; nobody else's files go."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import fintune.runs.lifecycle
from fintune.config.load import validate
from fintune.config.run_config import RunConfig
from fintune.errors import RunError, TrainingError
from fintune.runs.lifecycle import being_made, interrupted
from fintune.runs.run import Run
from fintune.runtime.files import write_atomically
from fintune.runtime.progress import Progress, listening


class Killed(BaseException):
    """Nothing after it runs, as after kill -9: being_made's own clean-up is switched off."""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return validate({"name": "r", "output": str(tmp_path), "data": {"path": "x.csv"}})


def fill(run: Run, content: str, *, checkpoint: bool = True) -> None:
    if checkpoint:
        (run.checkpoints / "checkpoint-5").mkdir(parents=True)
        (run.checkpoints / "checkpoint-5" / "watch.json").write_text("{}")
    run.adapter.mkdir(exist_ok=True)
    (run.adapter / "adapter_model.safetensors").write_text(content)


def finish(config: RunConfig, content: str, *, overwrite: bool = False, resume: bool = False) -> None:
    with being_made(config, overwrite=overwrite, resume=resume) as run:
        fill(run, content, checkpoint=not run.has_begun_training())
        run.write_json("scores.json", {"splits": {}, "baselines": {}})


def killed(monkeypatch: pytest.MonkeyPatch, where: str, number: int, act: Callable[[], None]) -> bool:
    """Run `act`, killed before the given call of rename, unlink or rmtree; False when there are not so many."""
    owner: Any = {"rename": Path, "unlink": Path, "rmtree": shutil}[where]
    original, calls = getattr(owner, where), []

    def deadly(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) >= number:  # nothing later happens either
            raise Killed
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, deadly)
        patch.setattr(fintune.runs.lifecycle, "_roll_back", lambda *_, **__: None)
        try:
            act()
        except Killed:
            return True
    return False


def named(config: RunConfig, name: str) -> RunConfig:
    return config.model_copy(update={"name": name})


def content(run: Run) -> str:
    return (run.adapter / "adapter_model.safetensors").read_text()


@pytest.mark.parametrize(("where", "moments"), [("rename", 2), ("unlink", 3), ("rmtree", 5)])
def test_a_finished_run_outlives_a_kill_while_it_is_replaced(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, moments: int
) -> None:
    for number in count(1):
        own = named(config, f"r{number}")
        finish(own, "first")
        if not killed(monkeypatch, where, number, partial(finish, own, "second", overwrite=True)):
            break
        with pytest.raises(RunError, match=r"a finished run stands there|an interrupted run waits there"):
            finish(own, "third")
        assert content(Run.open(tmp_path / own.name)) in ("first", "second")
    assert number > moments, "it was killed at so many moments at least"


def test_both_runs_outlive_a_kill_while_they_change_places(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in count(1):
        own = named(config, f"r{number}")
        finish(own, "first")
        interrupt(own, KeyboardInterrupt(), overwrite=True)
        assert content(Run.open(tmp_path / own.name)) == "first"
        if not killed(monkeypatch, "rename", number, partial(finish, own, "second", resume=True)):
            break
        with pytest.raises(RunError, match=r"an interrupted run waits there|a finished run stands there"):
            finish(own, "third")
        if content(Run.open(tmp_path / own.name)) == "first":
            finish(own, "second", resume=True)
        assert content(Run.open(tmp_path / own.name)) == "second"
        assert not [path for path in tmp_path.glob(f".{own.name}.*") if path.suffix != ".lock"]
    assert number > 3, "it was killed at three moments at least"


def test_a_run_whose_checkpoints_were_being_removed_is_finished(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fintune.runs.lifecycle, "_discard", lambda folder: None)
        patch.setattr(fintune.runs.lifecycle.shutil, "rmtree", lambda *_, **__: None)
        finish(config, "first")
    assert content(Run.open(tmp_path / "r")) == "first"
    assert interrupted(config) is None


def test_a_checkpoint_that_was_just_moved_aside_counts(config: RunConfig, tmp_path: Path) -> None:
    interrupt(config, KeyboardInterrupt())
    checkpoints = tmp_path / "r" / "checkpoints"
    (checkpoints / "checkpoint-5").rename(checkpoints / ".checkpoint-5.old")  # killed before the new one took its place
    with pytest.raises(RunError, match="an interrupted run waits there"):
        finish(config, "third")
    finish(config, "second", resume=True)
    assert content(Run.open(tmp_path / "r")) == "second"


def test_what_a_process_wrote_before_anything_is_no_obstacle(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".INCOMPLETE.123.tmp").write_text("")
    finish(config, "first")
    assert content(Run.open(tmp_path / "r")) == "first"


def test_a_stray_file_does_not_keep_a_run_from_going_on(config: RunConfig, tmp_path: Path) -> None:
    interrupt(config, KeyboardInterrupt())
    (tmp_path / "r" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds notes\.txt"):
        finish(config, "third", overwrite=True)
    finish(config, "second", resume=True)
    assert (tmp_path / "r" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    ["report.html", "attributions.json", "calibration.json", "engine.int8.json", "exports/gguf/model.gguf"],
)
def test_what_later_commands_leave_in_a_run_does_not_keep_it_from_being_replaced(
    config: RunConfig, tmp_path: Path, name: str
) -> None:
    finish(config, "first")
    write_atomically(tmp_path / "r" / name, "{}")
    finish(config, "second", overwrite=True)
    assert content(Run.open(tmp_path / "r")) == "second"
    assert not (tmp_path / "r" / name).exists()


def fail(config: RunConfig, error: BaseException, *, overwrite: bool) -> None:
    with being_made(config, overwrite=overwrite) as run:
        fill(run, "second")
        raise error


def interrupt(config: RunConfig, error: BaseException, *, overwrite: bool = False) -> str:
    """Train until a checkpoint, fail, and return what is told last."""
    told: list[Progress] = []
    with listening(told.append), pytest.raises(type(error)):
        fail(config, error, overwrite=overwrite)
    return told[-1].note


def test_the_command_to_go_on_names_where_the_run_waits(config: RunConfig, tmp_path: Path) -> None:
    assert interrupt(config, KeyboardInterrupt()).endswith(f"fintune train {tmp_path}/r/config.yaml --resume")
    finish(config, "first", overwrite=True)
    told = interrupt(config, KeyboardInterrupt(), overwrite=True)
    assert told.endswith(f"fintune train {tmp_path}/.r.unfinished/config.yaml --resume")


def test_after_a_divergence_no_command_to_go_on_is_offered(config: RunConfig, tmp_path: Path) -> None:
    told = interrupt(config, TrainingError("nan"))
    assert told == f"the last good state is kept: {tmp_path}/r/checkpoints"


def test_a_run_that_was_moved_says_where_it_is(config: RunConfig, tmp_path: Path) -> None:
    interrupt(config, KeyboardInterrupt())
    (tmp_path / "r").rename(tmp_path / "moved")
    with pytest.raises(RunError) as caught:
        Run.open(tmp_path / "moved")
    assert caught.value.hint.endswith(f"config.yaml --resume --set output={tmp_path} --set name=moved")
    moved = validate(json.loads(config.model_dump_json()) | {"name": "moved"})
    finish(moved, "second", resume=True)
    assert content(Run.open(tmp_path / "moved")) == "second"

"""A run folder is whole or says that it is not; nothing of anybody else's is ever removed."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from fintune.config.load import load
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, RunError
from fintune.runs.lifecycle import being_made
from fintune.runs.run import Run


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return load({"name": "r", "output": str(tmp_path / "runs")})


@pytest.fixture
def folder(config: RunConfig) -> Iterator[Path]:
    yield Path(config.output) / config.name
    assert not list(Path(config.output).glob("**/*.tmp")), "no temporary file is left"


def interrupted(run: Run) -> None:
    run.append_log({"step": 1})
    raise KeyboardInterrupt


def test_complete_only_when_the_block_ends_well(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        with pytest.raises(RunError, match="unfinished run: begun"):
            Run.open(folder)
        run.append_log({"step": 1})
    assert Run.open(folder).config() == config
    assert Run.open(folder).log() == [{"step": 1}]


def test_a_failure_leaves_a_folder_that_says_so_and_gives_way(config: RunConfig, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), being_made(config, overwrite=False) as run:
        interrupted(run)
    with pytest.raises(RunError, match="unfinished run") as caught:
        Run.open(folder)
    assert "Train it again" in caught.value.hint
    with being_made(config, overwrite=False):
        pass
    assert not (Run.open(folder).folder / "log.jsonl").exists()


def test_a_finished_run_stays_unless_told(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        run.append_log({"step": 1})
    with pytest.raises(RunError, match="a finished run stands there"), being_made(config, overwrite=False):
        pass
    assert Run.open(folder).log()
    with being_made(config, overwrite=True):
        pass
    assert not (folder / "log.jsonl").exists()


def test_a_folder_that_is_no_run_is_never_touched(config: RunConfig, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="is not a run folder"), being_made(config, overwrite=True):
        pass
    assert (folder / "thesis.txt").read_text() == "mine"


def test_two_processes_never_write_one_run(config: RunConfig, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    with (
        FileLock(folder.parent / ".r.lock"),
        pytest.raises(RunError, match="another process"),
        being_made(config, overwrite=True),
    ):
        pass
    assert not folder.exists()


def test_a_locked_run_is_not_touched_and_free_again_afterwards(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        run.append_log({"step": 1})
    with FileLock(folder.parent / ".r.lock"), pytest.raises(RunError), being_made(config, overwrite=True):
        pass
    assert Run.open(folder).log() == [{"step": 1}]
    with pytest.raises(KeyboardInterrupt), being_made(config, overwrite=True) as run:
        interrupted(run)
    with being_made(config, overwrite=True):
        pass
    assert Run.open(folder)


def test_only_a_run_that_ends_well_loses_its_checkpoints(config: RunConfig, folder: Path) -> None:
    for failure in (True, False):
        with suppress(KeyboardInterrupt), being_made(config, overwrite=False) as run:
            run.checkpoints.mkdir()
            (run.checkpoints / "state").touch()
            if failure:
                interrupted(run)
        assert (folder / "checkpoints" / "state").exists() == (folder / "INCOMPLETE").exists() == failure


def test_no_run_names_the_runs_nearby(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False):
        pass
    with pytest.raises(RunError, match="not a run folder") as caught:
        Run.open(folder.parent / "q")
    assert str(folder) in caught.value.hint


@pytest.mark.parametrize("name", ["..", ".", "../up", "", "a/b", ".hidden"])
def test_a_name_never_leaves_its_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="name: "):
        load({"name": name})


@pytest.mark.parametrize("mark", ["config.yaml", "INCOMPLETE"])
def test_a_folder_with_anything_of_others_is_never_removed(config: RunConfig, folder: Path, mark: str) -> None:
    folder.mkdir(parents=True)
    (folder / mark).touch()
    (folder / "thesis.txt").write_text("mine")
    with (
        pytest.raises(RunError, match=r"is not a run folder \(holds thesis\.txt\)"),
        being_made(config, overwrite=True),
    ):
        pass
    assert (folder / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        "predictions.test.jsonl", "predictions.test.zero-shot.jsonl", "forgetting.json", "attributions.json",
        "engine.int8.json",
    ],
)  # fmt: skip
def test_what_a_run_leaves_is_its_own_and_may_be_replaced(config: RunConfig, folder: Path, name: str) -> None:
    with being_made(config, overwrite=False) as run:
        run.write_text(name, "{}")
    with being_made(config, overwrite=True):
        pass
    assert not (folder / name).exists()


def test_a_link_or_file_in_its_place_is_refused(config: RunConfig, folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path)
    with pytest.raises(RunError, match="exists and is not a folder"), being_made(config, overwrite=True):
        pass
    folder.unlink()
    folder.write_text("mine")
    with pytest.raises(RunError, match="exists and is not a folder"), being_made(config, overwrite=True):
        pass
    assert folder.read_text() == "mine"


def test_a_finished_run_outlives_a_failed_attempt_to_replace_it(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        run.append_log({"step": 1})
    with pytest.raises(KeyboardInterrupt), being_made(config, overwrite=True) as run:
        interrupted(run)
    assert Run.open(folder).log() == [{"step": 1}]
    assert sorted(path.name for path in folder.parent.iterdir()) == [".r.lock", "r"]


def killed(config: RunConfig) -> None:
    """What a process leaves that was killed while it replaced a finished run."""
    folder = Path(config.output) / config.name
    folder.rename(folder.with_name(".r.former"))
    with suppress(KeyboardInterrupt), being_made(config.model_copy(update={"name": "s"}), overwrite=False) as run:
        interrupted(run)
    run.folder.rename(folder)


def test_a_finished_run_outlives_a_killed_attempt_to_replace_it(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        run.append_log({"step": 7})
    killed(config)
    with pytest.raises(RunError, match="unfinished run") as caught:
        Run.open(folder)
    assert ".r.former" in caught.value.hint
    with pytest.raises(RunError, match="a finished run stands there"), being_made(config, overwrite=False):
        pass
    assert Run.open(folder).log() == [{"step": 7}]
    killed(config)
    with pytest.raises(KeyboardInterrupt), being_made(config, overwrite=True) as run:
        interrupted(run)
    assert Run.open(folder).log() == [{"step": 7}]
    killed(config)
    with being_made(config, overwrite=True):
        pass
    assert not (folder / "log.jsonl").exists()
    assert not folder.with_name(".r.former").exists()


@pytest.mark.parametrize("place", [".r.former", "r/adapter", "r"])
def test_anything_of_others_anywhere_inside_is_never_removed(config: RunConfig, folder: Path, place: str) -> None:
    with being_made(config, overwrite=False):
        pass
    mine = folder.parent / place / "thesis.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(RunError, match="is not a run folder"), being_made(config, overwrite=True):
        pass
    assert mine.read_text() == "mine"
    assert (folder / "config.yaml").exists()


def test_a_run_that_ends_before_it_trained_leaves_nothing(config: RunConfig, folder: Path) -> None:
    with suppress(ZeroDivisionError), being_made(config, overwrite=False) as run:
        run.write_json("data.json", {})
        raise ZeroDivisionError
    assert not folder.exists()

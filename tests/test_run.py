"""A run folder is whole or says that it is not; nothing of anybody else's is ever removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from fintune.config import RunConfig, load
from fintune.errors import RunError
from fintune.records import Prediction, Score
from fintune.run import Run, being_made, write_atomically


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
    assert not list(Path(config.output).glob(".*.lock"))


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


def test_scores_and_predictions_round_trip(config: RunConfig, folder: Path) -> None:
    score = {"accuracy": Score(0.5, 0.4, 0.6, 10)}
    with being_made(config, overwrite=False) as run:
        run.write_scores({"name": "t", "version": 1}, {"test": score}, {"majority": {"test": score}})
        run.write_predictions("test", [Prediction("f:1", "涨", "up", "up", {"up": 1.0}, "down")])
    assert Run.open(folder).scores() == {"test": score}
    assert Run.open(folder).baselines() == {"majority": {"test": score}}
    assert '"text": "涨"' in (folder / "predictions.test.jsonl").read_text(encoding="utf-8")


def test_a_damaged_file_is_named(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False) as run:
        run.write_text("scores.json", "{")
    with pytest.raises(RunError, match=r"scores\.json: cannot be read"):
        Run.open(folder).scores()


def test_no_run_names_the_runs_nearby(config: RunConfig, folder: Path) -> None:
    with being_made(config, overwrite=False):
        pass
    with pytest.raises(RunError, match="not a run folder") as caught:
        Run.open(folder.parent / "q")
    assert str(folder) in caught.value.hint


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a.txt", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]

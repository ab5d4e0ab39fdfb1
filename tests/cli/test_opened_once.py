"""A command opens a run once, parses its config once, and no file of weights is hashed twice on a machine."""

import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config import load as config_load
from fintune.inference import open as opening
from fintune.models import digests
from fintune.runs.run import Run
from fintune.runs.version import need_this_version
from tests.conftest import Command


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often configs were loaded, runs opened, engines checked."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **settings: Any) -> Any:
            counts[name] += 1
            return function(*arguments, **settings)

        return count

    monkeypatch.setattr("fintune.runs.run.load", counted("load", config_load.load))
    monkeypatch.setattr(config_load, "validate", counted("validate", config_load.validate))
    monkeypatch.setattr("fintune.runs.run.need_this_version", counted("open", need_this_version))
    monkeypatch.setattr(opening, "choose_engine", counted("engine", opening.choose_engine))
    return counts


@pytest.mark.parametrize(
    ("command", "options", "engines"),
    [
        ("predict", ["Alvex of Oslo +"], 1),
        ("predict", ["--file", "rows", "--output", "answers.csv"], 1),
        ("evaluate", ["--split", "validation"], 0),
        ("evaluate", ["--data", "rows"], 1),
        ("explain", ["Alvex of Oslo +"], 1),
        ("export", ["-o", "merged"], 0),
        ("inspect", ["--verify"], 0),
    ],
)
def test_a_command_opens_a_run_once(  # noqa: PLR0917
    trained: Run, rows_file: Path, tmp_path: Path, fin: Command, calls: Counter[str], command: str, options: list[str],
    engines: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for module in ("predict_file", "explain"):
        monkeypatch.setattr(f"fintune.inference.{module}.choose_engine", opening.choose_engine)
    copy = shutil.copytree(trained.folder, tmp_path / "run")
    done = fin(command, copy, *(str(rows_file) if option == "rows" else option for option in options))
    assert done.code == 0, done.err
    assert calls == {"load": 1, "validate": 1, "open": 1} | ({"engine": engines} if engines else {})


def test_weights_are_hashed_once_on_a_machine(
    trained: Run, tmp_path: Path, fin: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: Counter[str] = Counter()

    def counted(path: Path) -> str:
        hashed[path.name] += path.suffix == ".safetensors"
        return sha256(path)

    sha256 = digests.sha256
    monkeypatch.setattr(digests, "sha256", counted)
    monkeypatch.setattr(digests, "_SMALL", 0)  # tiny weights are remembered as large ones are
    monkeypatch.setattr(digests, "_SETTLED", 0)
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        assert fin("predict", trained.folder, "Alvex of Oslo +").code == 0
    assert +hashed == {"model.safetensors": 1, "adapter_model.safetensors": 1}


def test_a_run_reads_a_file_once_and_again_after_it_wrote_it(trained: Run, tmp_path: Path, calls: Counter[str]) -> None:
    run = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "run"))
    assert run.config() is run.config()
    assert run.data() is run.data()
    assert run.raw_scores() is run.raw_scores()
    assert calls["load"] == 1
    before = run.environment()
    run.add_to_environment({"seed": 7})
    assert (run.environment()["seed"], run.environment() is run.environment()) == (7, True)
    assert run.environment() == {**before, "seed": 7}
    assert Run(run.folder).environment() == run.environment()
    assert pickle.loads(pickle.dumps(run)) == run


def test_what_another_process_wrote_is_read_when_a_run_is_refreshed(tmp_path: Path) -> None:
    run, other = Run(tmp_path), Run(tmp_path)
    run.write_json("environment.json", {"seed": 1})
    assert run.environment()["seed"] == 1
    other.write_json("environment.json", {"seed": 2})
    assert run.environment()["seed"] == 1
    run.refresh()
    assert run.environment()["seed"] == 2


def test_a_run_that_was_trained_anew_meanwhile_is_used_as_it_is_now(
    tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    run = fintune.train(tiny_config, ["train.epochs=1"])
    fintune.train(tiny_config, ["train.epochs=1", "model.max_length=64"], overwrite=True)
    assert run.config().model.max_length != 64, "read before"
    fintune.load(run)
    assert run.config().model.max_length == 64

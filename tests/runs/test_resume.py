"""Runs that are killed, stopped or replaced half-way, from the outside: `--resume` goes on, and only with the same inputs."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import ConfigError, DataError, ModelError, RunError, UsageError
from fintune.runs.run import Run
from fintune.runtime.progress import Progress, listening
from tests.conftest import Command
from tests.processes import Process

OVERRIDES = ["train.epochs=4", "train.save_steps=3", "method.lora_dropout=0.2", "train.batch_size=8"]


def end_in_epoch(config: Path, epoch: int, number: int) -> tuple[int, str]:
    """Train, and send a signal when an epoch has been judged; returns the exit code, and what is told after it."""
    sets = [word for override in OVERRIDES for word in ("--set", override)]
    process = Process("train", config, *sets)
    next(line for line in process.lines() if line.startswith(f"epoch {epoch}"))
    process.send_signal(number)
    code, _, rest = process.end()
    return code, rest


def adapter_bytes(folder: Path) -> list[bytes]:
    return [(folder / "adapter" / name).read_bytes() for name in ("adapter_model.safetensors", "adapter_config.json")]


def untimed(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if not k.endswith(("second", "bytes"))} for line in run.log()]


@pytest.fixture
def whole(tiny_config: dict[str, Any], tmp_path: Path) -> Run:
    """The same run, never interrupted."""
    return fintune.train(tiny_config | {"output": str(tmp_path / "whole")}, OVERRIDES)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_was_ended_goes_on_to_the_same_bytes(
    config_file: Path, tmp_path: Path, whole: Run, fin: Command, number: int, code: int
) -> None:
    folder = tmp_path / "runs" / "tiny"
    ended, rest = end_in_epoch(config_file, 2, number)
    assert ended == code
    assert "Traceback" not in rest
    if number != signal.SIGKILL:
        assert f"to go on: fintune train {folder}/config.yaml --resume" in rest
    assert "--resume" in fin("predict", folder, "Alvex +").err
    assert "add --resume" in fin("train", folder / "config.yaml").err
    went_on = fin("train", folder / "config.yaml", "--resume")
    assert went_on.code == 0
    assert "going on from step" in went_on.err
    assert adapter_bytes(folder) == adapter_bytes(whole.folder)
    for line, expected in zip(untimed(Run(folder)), untimed(whole), strict=True):
        assert line == pytest.approx(expected, rel=1e-5)  # losses around a stop are added up in another order
    assert Run(folder).scores() == whole.scores()
    assert len(Run(folder).environment()["resumed"]) == 1
    again = fin("train", folder / "config.yaml", "--resume")
    assert (again.code, "finished already" in again.err) == (0, True)


def interrupt(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Path:
    """An interrupted run: its first epoch is trained and judged."""
    with monkeypatch.context() as patch:
        original = Run.save_adapter

        def once(self: Run, model: Any) -> None:
            if self.adapter.exists():
                raise KeyboardInterrupt
            original(self, model)

        patch.setattr(Run, "save_adapter", once)
        with pytest.raises(KeyboardInterrupt):
            fintune.train(config, [*OVERRIDES, *overrides], overwrite="tiny" in os.listdir(config["output"]))
    return Path(config["output"]) / "tiny"


@pytest.mark.parametrize("how", ["moved", "renamed", "copied", "copied, the first goes on too", "linked"])
def test_a_run_goes_on_where_its_config_lies(begun: Path, tmp_path: Path, fin: Command, how: str) -> None:
    place = {"renamed": begun.with_name("other"), "linked": tmp_path / "link"}.get(how, tmp_path / "elsewhere" / "tiny")
    place.parent.mkdir(exist_ok=True)
    if how == "linked":
        place.symlink_to(begun)
    elif how.startswith("copied"):
        shutil.copytree(begun, place)
    else:
        begun.rename(place)
    ended = fin("train", place / "config.yaml", "--resume")
    assert (ended.code, "going on from step" in ended.err) == (0, True)
    assert Run(place).is_finished()
    assert begun.exists() == (how not in ("moved", "renamed"))
    if how.startswith("copied"):
        assert Run(begun).has_begun_training()
    assert "finished already" in fin("train", place / "config.yaml", "--resume").err


def test_a_moved_run_without_a_checkpoint_yet_begins_where_it_lies(begun: Path, tmp_path: Path, fin: Command) -> None:
    shutil.rmtree(begun / "checkpoints")
    begun.rename(tmp_path / "moved")
    assert fin("train", tmp_path / "moved" / "config.yaml", "--resume").code == 0
    assert (Run(tmp_path / "moved").is_finished(), begun.exists()) == (True, False)


def test_a_moved_run_that_cannot_go_on_there_is_refused_with_both_places(
    begun: Path, tmp_path: Path, fin: Command
) -> None:
    for place, more in ((tmp_path / "moved", []), (tmp_path / ".tiny.unfinished", ["--resume"])):
        shutil.copytree(begun, place)
        ended = fin("train", place / "config.yaml", *more)
        assert ended.code == 2
        assert f"{place}: an interrupted run lies there, and its config would train another in {begun}" in ended.err
        assert "--resume" in ended.err


@pytest.fixture
def begun(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    Path(tiny_config["output"]).mkdir()
    return interrupt(tiny_config, monkeypatch)


STARTS = [
    {"init_lora_weights": "eva"},
    {"init_lora_weights": "corda"},
    {"init_lora_weights": "lora_ga"},
    {"init_lora_weights": "pissa_niter_4"},
    {"init_lora_weights": "pissa", "use_dora": True},
    {"trainable_tokens": [43, 45], "modules_to_save": ["norm"]},
]


@pytest.mark.parametrize("start", STARTS, ids=lambda options: "-".join(map(str, options.values())))
def test_whatever_adapters_begin_with_they_go_on_to_the_same_bytes(
    tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: dict[str, Any]
) -> None:
    tiny_config["method"] |= start | {"r": 4}
    Path(tiny_config["output"]).mkdir()
    whole = fintune.train(tiny_config | {"output": str(tmp_path / "whole")}, OVERRIDES)
    interrupt(tiny_config, monkeypatch)
    run = fintune.train(tiny_config, OVERRIDES, resume=True)
    assert adapter_bytes(run.folder) == adapter_bytes(whole.folder)
    assert run.scores() == whole.scores()


def test_other_settings_are_refused_with_the_difference(tiny_config: dict[str, Any], begun: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fintune.train(tiny_config, [*OVERRIDES, "train.learning_rate=1e-3", "method.r=4"], resume=True)
    assert caught.value.problems == [
        "method.r: 4 now, 8 when the run began",
        "train.learning_rate: 0.001 now, 0.03 when the run began",
    ]
    assert any((begun / "checkpoints").iterdir()), "nothing is lost"


def test_other_data_are_refused_with_the_difference(tiny_config: dict[str, Any], begun: Path, tmp_path: Path) -> None:
    rows = Path(tiny_config["data"]["path"])
    mine = tmp_path / "rows" / rows.name
    mine.parent.mkdir()
    shutil.copy(rows, mine)
    tiny_config["data"]["path"] = str(mine)
    with pytest.raises(ConfigError, match=r"data\.path: "):
        fintune.train(tiny_config, OVERRIDES, resume=True)
    saved = (begun / "config.yaml").read_text()
    (begun / "config.yaml").write_text(saved.replace(str(rows), str(mine)))
    record = json.loads((begun / "data.json").read_text())
    record["sources"][0]["path"] = str(mine)
    (begun / "data.json").write_text(json.dumps(record))
    mine.write_text(mine.read_text().replace("Alvex", "Alvox"))
    with pytest.raises(DataError, match=r"changed since the run began: sha256 \w{12} now, \w{12} then"):
        fintune.train(tiny_config, OVERRIDES, resume=True)


def test_another_base_is_refused(tiny_config: dict[str, Any], begun: Path) -> None:
    found = json.loads((begun / "environment.json").read_text())
    (begun / "environment.json").write_text(json.dumps(found | {"base_sha256": "0" * 64}))
    with pytest.raises(ModelError, match=r"have changed since the run began: sha256 \w{12} now, 000000000000 then"):
        fintune.train(tiny_config, OVERRIDES, resume=True)


def test_other_versions_are_told(tiny_config: dict[str, Any], begun: Path) -> None:
    found = json.loads((begun / "environment.json").read_text())
    found["packages"]["torch"] = "1.0"
    (begun / "environment.json").write_text(json.dumps(found))
    told: list[Progress] = []
    with listening(told.append):
        fintune.train(tiny_config, OVERRIDES, resume=True)
    assert any("1.0 when the run began: bytes may differ" in event.note for event in told)


def test_a_moved_run_goes_on(tiny_config: dict[str, Any], begun: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere 移动").mkdir()
    begun.rename(tmp_path / "elsewhere 移动" / "tiny")
    run = fintune.train(tiny_config | {"output": str(tmp_path / "elsewhere 移动")}, OVERRIDES, resume=True)
    assert run.scores()


def test_going_on_and_beginning_anew_exclude_each_other(tiny_config: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--resume goes on"):
        fintune.train(tiny_config, resume=True, overwrite=True)


def test_nothing_to_go_on_with_begins(tiny_config: dict[str, Any]) -> None:
    assert fintune.train(tiny_config, ["train.epochs=1"], resume=True).scores()


def test_the_finished_run_stays_until_the_resumed_one_replaces_it(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fintune.train(tiny_config, ["train.epochs=1"])
    finished = adapter_bytes(first.folder)
    folder = interrupt(tiny_config, monkeypatch)
    assert adapter_bytes(folder) == finished
    assert Run.open(folder).config().train.epochs == 1
    with pytest.raises(RunError, match="an interrupted run waits there"):
        fintune.train(tiny_config, OVERRIDES)
    run = fintune.train(tiny_config, OVERRIDES, resume=True)
    assert run.config().train.epochs == 4
    assert sorted(path.name for path in folder.parent.iterdir()) == [".tiny.lock", "tiny"]


def test_a_finished_run_is_not_resumed_under_other_settings(tiny_config: dict[str, Any]) -> None:
    fintune.train(tiny_config, ["train.epochs=1"])
    with pytest.raises(ConfigError, match=r"train\.epochs: 2 now, 1 when the run began"):
        fintune.train(tiny_config, ["train.epochs=2"], resume=True)


def test_the_number_of_threads_is_fixed(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    seen: list[int] = []
    monkeypatch.setattr("fintune.training.train.encode", lambda *a, **k: seen.append(torch.get_num_threads()) or 1 / 0)
    before = torch.get_num_threads()
    for setting in ("3", "auto"):
        with pytest.raises(ZeroDivisionError):
            fintune.train(tiny_config, [f"train.threads={setting}"])
    assert seen == [3, before]
    assert torch.get_num_threads() == before

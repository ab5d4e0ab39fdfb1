"""The registry of adapters: by content, under several processes, and usable."""

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import RunError
from fintune.runs.adapter_store import add, listed, remove
from fintune.runs.run import Run
from tests.tiny import config_for


@pytest.fixture(scope="module")
def run(tiny_causal: Path, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fintune.train(config_for(tiny_causal, rows_file, tmp_path_factory.mktemp("kept")), ["train.epochs=1"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache 存"))


def test_what_is_added_is_used_as_a_run_and_kept_once(run: Run, fin: Any) -> None:
    kept = json.loads(fin("adapters", "add", run.folder, "--name", "first", "--json").out)
    assert add(run.folder, name="again").name == "first"
    text = run.predictions("validation")[0]
    again = json.loads(fin("predict", kept["path"], text.text, "--json").out)
    assert again["label"] == text.answer
    assert [row["id"] for row in json.loads(fin("adapters", "list", "--json").out)] == [kept["id"]]
    assert "first" in fin("adapters", "list").out
    assert fin("adapters", "remove", kept["id"][:5]).code == 0
    assert listed() == []
    assert not Path(kept["path"]).exists()
    assert "none yet" in fin("adapters", "list").out


def test_a_kept_adapter_is_exported_and_its_name_is_letters(run: Run, tmp_path: Path, fin: Any) -> None:
    kept = add(run.folder, name="kept")
    assert not (Path(kept.path) / "predictions.test.jsonl").exists()
    assert fin("export", "kept", "--format", "merged", "-o", tmp_path / "out").code == 0
    odd = tmp_path / "ad\udcff"
    odd.mkdir()
    assert "a name that is not UTF-8" in fin("adapters", "add", odd).err


def test_a_run_that_was_edited_since_it_was_scored_is_not_taken(run: Run, tmp_path: Path) -> None:
    edited = Path(shutil.copytree(run.folder, tmp_path / "edited"))
    settings = json.loads((edited / "adapter" / "adapter_config.json").read_text())
    (edited / "adapter" / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": 99}))
    with pytest.raises(RunError, match="adapter"):
        add(edited)
    assert listed() == []


def test_names_are_of_one_each_and_wrong_ones_are_told(run: Run, tmp_path: Path, fin: Any) -> None:
    add(run.folder, name="mine")
    other = Path(shutil.copytree(run.adapter, tmp_path / "other"))
    (other / "note.txt").write_text("of other content")
    with pytest.raises(RunError, match="--name mine: is another adapter's"):
        add(other, name="mine")
    assert add(other).name == "other"
    with pytest.raises(RunError, match=r"minne: no such adapter"):
        remove("minne")
    assert "Did you mean 'mine'?" in fin("adapters", "remove", "minne").err
    with pytest.raises(RunError, match="has control characters"):
        add(other, name="two\nlines")
    assert "as mine" in fin("adapters", "add", run.folder, "--name", "yours").err
    with pytest.raises(RunError, match="a model folder, and no adapter"):
        add(run.config().model.base)


def _work(folder: str) -> None:
    for _ in range(5):
        kept = add(folder)
        try:
            remove(kept.id)
        except RunError:
            assert kept.id not in [one.id for one in listed()]


def test_two_processes_at_once_leave_nothing_half_done(run: Run, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(str(run.folder),)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    left = [
        path.name for path in (tmp_path / "cache 存" / "adapters").iterdir() if path.name[0] == "." and path.is_dir()
    ]
    assert left == []
    add(run.folder)
    assert Run.open(listed()[0].path).predictions("validation") == run.predictions("validation")


def test_a_damaged_entry_is_told_and_replaced_by_adding_it_again(run: Run, fin: Any) -> None:
    kept = add(run.folder, name="mine")
    (Path(kept.path) / "adapter.json").write_text("[]")
    assert listed() == []
    assert f"damaged: {kept.path} (add" in fin("adapters", "list").err
    assert add(run.folder, name="mine").id == kept.id
    assert [one.name for one in listed()] == ["mine"]
    assert fin("adapters", "list").err == ""

"""A run that was changed after it was scored answers to nobody, and says what was changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from fintune.export.export import export
from fintune.runs.inspect_path import inspect
from fintune.runs.run import Run


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained.folder, tmp_path / "run")))


def _setting(before: str, after: str) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        text = (run.folder / "config.yaml").read_text()
        assert before in text
        (run.folder / "config.yaml").write_text(text.replace(before, after, 1))

    return change


def _weights(run: Run) -> None:
    place = run.adapter / "adapter_model.safetensors"
    tensors = load_file(place)
    next(iter(tensors.values())).mul_(1.5)
    save_file(tensors, place, metadata={"format": "pt"})


def _json(name: str, **values: Any) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        place = run.folder / name
        place.write_text(json.dumps(json.loads(place.read_text()) | values))

    return change


CHANGES: dict[str, tuple[Callable[[Run], None], str]] = {
    "alpha": (_setting("lora_alpha: 8", "lora_alpha: 9"), "method.lora_alpha is 9, and was 8 when the run was scored"),
    "prompt": (_setting("'{text}{answer}'", "'{text} {answer}'"), "task.prompt is '{text} {answer}', and was"),
    "length": (_setting("max_length: 96", "max_length: 95"), "model.max_length is 95, and was 96"),
    "objective": (_setting("objective: tokens", "objective: candidates"), "train.objective is 'candidates', and was 'tokens'"),
    "bytes": (_weights, "adapter_model.safetensors: not the file that was scored"),
    "adapter's alpha": (_json("adapter/adapter_config.json", lora_alpha=9), "adapter_config.json: not the file that was scored"),
    "added": (lambda run: (run.adapter / "fintune_adapter.json").write_text("{}"), "fintune_adapter.json: was not there when"),
    "removed": (lambda run: (run.adapter / "adapter_config.json").unlink(), "adapter_config.json: is missing"),
    "base": (_json("environment.json", base_sha256="0" * 64), "base_sha256 is not that of the model the run was scored on"),
    "text column": (_setting("text_column: text", "text_column: label"), "data.text_column is 'label', and was 'text'"),
    "newer record": (_json("manifest.json", version=99), "manifest.json: version 99, and this FinTune reads up to"),
    "no record": (lambda run: (run.folder / "manifest.json").unlink(), "no manifest.json, so nothing says that"),
    "damaged record": (_json("manifest.json", files=3), "manifest.json: damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_named_by_every_command(
    change: Callable[[Run], None], message: str, run: Run, fin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(run)
    monkeypatch.setattr("fintune.models.load_model", lambda *_, **__: pytest.fail("weights were loaded"))
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    for command in ("predict", "evaluate", "explain", "merge", "export", "inspect"):
        more = {"predict": ["Alvex +"], "explain": ["Alvex +"], "inspect": ["--verify"]}.get(command, [])
        result = fin(command, run.folder, *more)
        assert result.code == 2, command
        assert message in result.err
        assert "report it" not in result.err
        assert result.err.count("\n") <= 2
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["prompt", "bytes"])
def test_a_report_of_a_changed_run_is_refused(name: str, run: Run, fin: Any) -> None:
    change, message = CHANGES[name]
    assert fin("report", run.folder).code == 0
    change(run)
    result = fin("report", run.folder)
    assert (result.code, message in result.err) == (2, True)


@pytest.mark.parametrize("name", ["bytes", "no record", "length"])
def test_rescoring_takes_the_run_as_it_is(name: str, run: Run, fin: Any) -> None:
    CHANGES[name][0](run)
    assert fin("evaluate", run.folder, "--rescore").code == 0
    assert fin("predict", run.folder, "Alvex +").code == 0
    assert inspect(run.folder, verify=True)["verified"] == "adapter, settings and base model are those that were scored"


@pytest.mark.parametrize(
    "change", [_setting("device: cpu", "device: auto"), _setting("name: tiny", "name: other"),
               lambda run: (run.adapter / "README.md").write_text("mine")]
)  # fmt: skip
def test_what_decides_no_answer_may_be_changed(change: Callable[[Run], None], run: Run, fin: Any) -> None:
    change(run)
    assert fin("predict", run.folder, "Alvex +").code == 0


def test_a_base_that_moved_is_known_by_its_files_and_a_changed_one_named(
    run: Run, tiny_causal: Path, tmp_path: Path, fin: Any
) -> None:
    moved = Path(shutil.copytree(tiny_causal, tmp_path / "elsewhere"))
    _setting(str(tiny_causal), str(moved))(run)
    assert fin("predict", run.folder, "Alvex +").code == 0
    settings = json.loads((moved / "tokenizer_config.json").read_text())
    (moved / "tokenizer_config.json").write_text(json.dumps(settings | {"add_prefix_space": True}))
    result = fin("predict", run.folder, "Alvex +")
    assert result.code == 2
    assert "(sha256 differs: tokenizer_config.json)" in result.err
    assert "not the base model the run was scored on" in fin("inspect", run.folder, "--verify").err


def test_an_export_made_with_other_settings_is_no_engine_of_the_run(run: Run, fin: Any) -> None:
    export(run, "merged")
    assert fin("predict", run.folder, "--engine", "merged", "Alvex +").code == 0
    assert inspect(run.folder / "exports" / "merged", verify=True)["verified"] == "every file is that which was proved"
    CHANGES["prompt"][0](run)
    assert fin("evaluate", run.folder, "--rescore").code == 0
    result = fin("predict", run.folder, "--engine", "merged", "Alvex +")
    assert (result.code, "made with other settings than the run has now" in result.err) == (2, True)


def test_a_run_of_an_earlier_version_is_refused_by_that_version(run: Run, fin: Any) -> None:
    record = json.loads((run.folder / "manifest.json").read_text())
    (run.folder / "manifest.json").write_text(json.dumps(record | {"version": 2}))
    made = json.loads((run.folder / "environment.json").read_text())
    made["packages"]["fintune"] = "0.1.0"
    (run.folder / "environment.json").write_text(json.dumps(made))
    for command in (("predict", run.folder, "Alvex +"), ("report", run.folder)):
        result = fin(*command)
        assert (result.code, "made by FinTune 0.1.0, whose runs this FinTune does not read" in result.err) == (2, True)
    assert "Train it again" in result.err

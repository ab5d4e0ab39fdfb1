"""The commands as a user meets them: what they print, where, and with which exit code."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import fintune
from fintune import cli
from fintune.config import RunConfig, load


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def fin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `fintune ARGUMENTS` in this process."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["fintune", *map(str, arguments)])
        monkeypatch.setattr(cli, "_debug", False)
        monkeypatch.setattr(cli.err, "width", 400)
        monkeypatch.setattr(cli.out, "width", 200)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def config_file(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(tiny_config))  # JSON is YAML
    return path


def test_init_writes_a_config_that_loads_and_never_replaces_one(fin: Command, tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert fin("init", path, "--data", "news.csv").code == 0
    assert load(path).data.path == "news.csv"
    assert isinstance(load(path), RunConfig)
    path.write_text("mine")
    refused = fin("init", path)
    assert (refused.code, path.read_text()) == (2, "mine")
    assert fin("init", path, "--force").code == 0
    assert path.read_text() != "mine"


def test_check_shows_counts(fin: Command, config_file: Path) -> None:
    shown = fin("check", config_file)
    assert shown.code == 0
    assert "negative 30 · neutral 30 · positive 30" in shown.out
    report = json.loads(fin("check", config_file, "--json").out)
    assert (report["rows"], report["exact_duplicates"]) == (90, 0)
    assert len(report["fingerprint"]) == 16


def test_train_then_predict_then_evaluate(fin: Command, config_file: Path, tmp_path: Path) -> None:
    trained = fin("train", config_file, "--set", "train.epochs=1", "--json")
    assert trained.code == 0
    result = json.loads(trained.out)
    assert result["task"] == {"name": "sentiment", "version": 1}
    assert result["splits"]["test"]["accuracy"]["n"] == 18
    again = fin("train", config_file, "--set", "train.epochs=1")
    assert again.code == 2
    assert "--overwrite" in again.err
    shown = fin("train", config_file, "--set", "train.epochs=1", "--overwrite")
    assert shown.code == 0
    assert f"next: fintune predict {tmp_path / 'runs' / 'tiny'}" in shown.out.replace("\n", "").replace(
        "next:", "next:"
    )
    for row in ("lora, validation", "lora, test", "majority, test", "tfidf, test", "zero-shot, test"):
        assert row in shown.out


def test_predict_reads_arguments_files_and_standard_input(
    fin: Command, trained: fintune.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Bormas of Lima +", "Bormas, of Lima -"]
    by_argument = fin("predict", trained.folder, *texts, "--json")
    lines = [json.loads(line) for line in by_argument.out.splitlines()]
    assert [line["label"] for line in lines] == ["positive", "negative"]
    assert lines[0]["confidence"] == max(lines[0]["probabilities"].values())

    (tmp_path / "in.txt").write_text("\n".join(texts))
    monkeypatch.setattr("sys.stdin", (tmp_path / "in.txt").open())
    assert fin("predict", trained.folder, "--json").out == by_argument.out
    sys.stdin.close()

    output = tmp_path / "out.csv"
    assert fin("predict", trained.folder, "--file", tmp_path / "in.txt", "--output", output).code == 0
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["text"] for row in rows] == texts
    assert [row["id"] for row in rows] == ["in.txt:1", "in.txt:2"]
    assert float(rows[0]["p_positive"]) == pytest.approx(lines[0]["probabilities"]["positive"], abs=1e-4)


def test_predict_shows_a_table(fin: Command, trained: fintune.Run) -> None:
    shown = fin("predict", trained.folder, "Bormas of [bold]Lima +").out
    assert "positive" in shown
    assert "[bold]" in shown, "a text is never read as markup"


def test_evaluate_a_part_and_another_file(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("text,label\nA b +,positive\nA c -,negative\n")
    scored = json.loads(fin("evaluate", trained.folder, "--data", tmp_path / "other.csv", "--json").out)
    assert scored["accuracy"]["n"] == 2
    shown = fin("evaluate", trained.folder, "--data", tmp_path / "other.csv")
    assert "precision" in shown.out
    (tmp_path / "none.csv").write_text("text,label\n")
    assert "no labelled texts" in fin("evaluate", trained.folder, "--data", tmp_path / "none.csv").err
    wrong = fin("evaluate", trained.folder, "--split", "dev")
    assert (wrong.code, wrong.err.splitlines()[1]) == (2, "next:  Parts: train, validation, test.")


@pytest.mark.parametrize("what", ["tasks", "methods", "models"])
def test_lists(fin: Command, what: str) -> None:
    rows = json.loads(fin(what, "--json").out)
    assert rows
    assert all(row[next(iter(row))] in fin(what).out for row in rows)


BAD_INPUT = {
    "wrong column": (["data.label_column=sentiment"], "no column 'sentiment'; found text, label"),
    "unknown label": (["task.labels=[negative, positive]"], "label 'neutral' is not one of negative, positive"),
    "empty file": (["data.path={empty}"], "the file is empty"),
    "binary file": (["data.path={binary}"], "looks binary, not text"),
    "missing file": (["data.path=/no/such.csv"], "/no/such.csv: no such file"),
    "label missing from training": (
        ["task.labels=[negative, neutral, positive, mixed]"],
        "no example of label 'mixed' in the train part",
    ),
    "unknown setting": (["train.learnin_rate=1"], "train.learnin_rate: unknown setting. Did you mean 'learning_rate'?"),
    "not an override": (["learning_rate"], "not of the form section.key=value"),
    "no model": (["model.base=/no/such/model"], "no folder '/no/such/model'"),
    "unfit layers": (["method.target_modules=[query]"], "method.target_modules: "),
    "damaged weights": (["model.base={damaged}"], "damaged weights"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_two_lines_and_leaves_no_finished_run(
    fin: Command, config_file: Path, tmp_path: Path, tiny_causal: Path, case: str
) -> None:
    import shutil

    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(b"\x7fELF\0\0")
    damaged = shutil.copytree(tiny_causal, tmp_path / "damaged") / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    places = {"empty": tmp_path / "empty.csv", "binary": tmp_path / "binary.csv", "damaged": damaged.parent}
    overrides, message = BAD_INPUT[case]
    flags = [
        part for override in overrides for part in ("--set", override.format(**places) if "{" in override else override)
    ]
    result = fin("train", config_file, *flags)
    errors = [line for line in result.err.splitlines() if line.startswith(("error:", "next:"))]
    assert result.code == 2
    assert message in errors[0]
    assert len(errors) == 2
    assert "Traceback" not in result.err
    assert not list(tmp_path.glob("runs/*/scores.json"))


def test_an_adapter_on_the_wrong_base(fin: Command, trained: fintune.Run, tiny_seq2seq: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    base = trained.config().model.base
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace(base, str(tiny_seq2seq)))
    result = fin("predict", folder, "text")
    assert result.code == 2
    assert "the adapter does not fit base model" in result.err


def test_truncated_adapter(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    weights = folder / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = fin("predict", folder, "text")
    assert (result.code, "adapter_model.safetensors: damaged" in result.err) == (2, True)


def test_a_missing_extra_is_found_before_weights_load(
    fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintune.preparation.find_spec", lambda name: None)
    result = fin("train", config_file, "--set", "train.report_to=[mlflow]", "--set", "model.base=/no/such/model")
    assert (result.code, "pip install 'fintune[mlflow]'" in result.err) == (1, True)


def test_debug_shows_the_traceback(fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fintune", "check", str(config_file), "--set", "nonsense", "--debug"])
    monkeypatch.setattr(cli, "_debug", False)
    with pytest.raises(fintune.errors.ConfigError):  # type: ignore[attr-defined]
        cli.main()


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_broken_environment_is_exit_code_1(
    fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr("fintune.run.Run.write_scores", fail)
    result = fin("train", config_file, "--set", "train.epochs=1")
    assert result.code == 1
    assert "disk is full" in result.err or "out of memory" in result.err
    assert "unfinished" in fin("predict", config_file.parent / "runs" / "tiny", "x").err


def test_a_full_disk_while_the_adapter_is_saved(
    fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def fail(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("peft.peft_model.safe_save_file", fail)
    result = fin("train", config_file, "--set", "train.epochs=1")
    assert (result.code, "the disk is full" in result.err) == (1, True)


def test_ctrl_c_ends_with_130_and_the_folder_says_so(config_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fintune.cli", "train", str(config_file), "--set", "train.epochs=500"]
    heed = partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # a background job's children start with SIGINT ignored
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ, preexec_fn=heed) as process:  # noqa: PLW1509
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch"):  # the first epoch has been scored
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest
    with pytest.raises(fintune.errors.RunError, match="unfinished run"):  # type: ignore[attr-defined]
        fintune.Run.open(tmp_path / "runs" / "tiny")

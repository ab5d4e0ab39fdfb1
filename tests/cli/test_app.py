"""The commands as a user meets them: what they print, where, and with which exit code."""

import csv
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.cli import app, deferred, output
from fintune.cli.commands import train
from fintune.cli.errors import as_error
from fintune.config.load import load
from fintune.config.run_config import RunConfig
from fintune.runtime.install import with_extra
from tests.conftest import Command, handlers_kept
from tests.made_records import prediction
from tests.processes import Process, run
from tests.tiny import gemma_tokenizer


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("weights must not be loaded here")


def test_init_writes_a_config_that_loads_and_never_replaces_one(fin: Command, tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert fin("init", path, "--data", "builtin:headlines").code == 0
    assert load(path).data.path == "builtin:headlines"
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
    headline = ["macro_f1", "accuracy", "mcc"]
    assert result["task"] == {"name": "sentiment", "version": 2, "kind": "labels", "headline": headline}
    assert result["splits"]["test"]["accuracy"]["n"] == 18
    again = fin("train", config_file, "--set", "train.epochs=1")
    assert again.code == 2
    assert "--overwrite" in again.err
    shown = fin("train", config_file, "--overwrite")
    assert shown.code == 0
    typed = shlex.split(shown.out.rpartition("next: fintune predict ")[2])
    validation = fintune.Run.open(tmp_path / "runs" / "tiny").predictions("validation")
    assert typed == [str(tmp_path / "runs" / "tiny"), validation[0].text], "a text of the run's own kind"
    assert fin("predict", *typed).code == 0
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
    assert "no labeled texts" in fin("evaluate", trained.folder, "--data", tmp_path / "none.csv").err
    wrong = fin("evaluate", trained.folder, "--split", "dev")
    assert (wrong.code, wrong.err.splitlines()[1]) == (2, "next:  Parts: train, validation, test.")


@pytest.mark.parametrize("what", ["tasks", "methods", "models"])
def test_lists(fin: Command, what: str) -> None:
    rows = json.loads(fin(what, "--json").out)
    if what == "models":
        assert {row["model.base"] for row in rows["at_hand"]} >= {"embedded", "embedded-seq2seq"}
        rows = rows["families"]
    assert rows
    assert all(row[next(iter(row))] in fin(what).out for row in rows)


def test_one_method_with_its_settings(fin: Command) -> None:
    shown = fin("methods", "ia3").out
    assert "arXiv:2205.05638" in shown
    assert "target_modules" in shown
    assert {one["setting"] for one in json.loads(fin("methods", "lora", "--json").out)["settings"]} >= {
        "r",
        "lora_alpha",
    }
    wrong = fin("methods", "lorra")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, "error: no method 'lorra'. Did you mean 'lora'?")


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
    "no device": (["model.device=meta"], "model.device: cannot use 'meta'"),
    "not a regex": (["method.target_modules='q_proj['"], "method.target_modules: not a regular expression"),
    "seed too large": (["train.seed=4294967296"], "train.seed: Input should be less than 4294967296"),
    "no room for the template": (["model.max_length=8"], "model.max_length: 8 tokens cannot hold"),
    "rate too high": (["train.learning_rate=1e30", "train.warmup_ratio=0"], "training has diverged"),
    "output below a file": (["output={binary}"], "binary.csv: is a file, so nothing can be written below it"),
    "name too long": (["name=" + 300 * "n"], "name: String should have at most 100 characters"),
}
"""what is wrong: overrides, and what the first line says"""


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_two_lines_and_leaves_no_finished_run(
    fin: Command, config_file: Path, tmp_path: Path, tiny_causal: Path, case: str
) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(b"\x7fELF\0\0")
    damaged = Path(shutil.copytree(tiny_causal, tmp_path / "damaged")) / "model.safetensors"
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
    assert result.err.splitlines()[-2:] == errors, "nothing else is printed, no traceback, no blank line"
    assert not list(tmp_path.glob("runs/*/*")), "nothing half-written is left"


def test_an_adapter_on_another_base_is_refused(
    fin: Command, trained: fintune.Run, tiny_seq2seq: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    base = trained.config().model.base
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace(base, str(tiny_seq2seq)))
    result = fin("predict", folder, "text")
    assert result.code == 2
    assert "weights, settings or tokenizer are not those the adapter was trained on" in result.err


def test_a_base_that_has_changed_is_refused_and_the_scores_stay(
    fin: Command, config_file: Path, tiny_causal: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_causal, tmp_path / "base"))
    assert fin("train", config_file, "--set", "train.epochs=1", "--set", f"model.base={base}").code == 0
    run = tmp_path / "runs" / "tiny"
    before = (run / "scores.json").read_bytes()
    (base / "notes.txt").write_text("mine")
    assert fin("predict", run, "text").code == 0, "what decides no answer may change"
    (base / "tokenizer.json").write_text((base / "tokenizer.json").read_text() + " ")
    for command in (("predict", run, "text"), ("evaluate", run)):
        result = fin(*command)
        assert (result.code, "sha256 differs" in result.err) == (2, True)
    assert (run / "scores.json").read_bytes() == before


def test_truncated_adapter(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    weights = folder / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = fin("predict", folder, "text")
    assert (result.code, "adapter_model.safetensors: not the file that was scored" in result.err) == (2, True)


def test_a_missing_extra_is_found_before_weights_load(
    fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintune.config.prepare.find_spec", lambda name: None)
    monkeypatch.setattr("fintune.models.load_model", never)
    result = fin("train", config_file, "--set", "train.report_to=[mlflow]")
    assert (result.code, with_extra("mlflow") in result.err) == (1, True)


def test_a_run_reads_other_files_as_its_own(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    stored = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(stored.replace("encoding: auto", "encoding: latin-1").replace(".jsonl", ".csv"))
    (tmp_path / "alike.csv").write_bytes("text,label\nZürich +,positive\n".encode("latin-1"))
    (tmp_path / "other.txt").write_text("Zürich +")

    def read(name: str, *flags: str) -> Any:
        result = fin("predict", folder, "--json", "--file", tmp_path / name, *flags)
        return [json.loads(line)["text"] for line in result.out.splitlines()] or (result.code, result.err)

    assert read("alike.csv") == ["Zürich +"]
    assert read("other.txt") == ["Zürich +"], "another ending: nothing is taken over"
    assert read("alike.csv", "--encoding", "cp1250", "--format", "lines") == ["text,label", "Zürich +,positive"]
    assert read("alike.csv", "--format", "cvs")[0] == 2
    scored = fin("evaluate", folder, "--data", tmp_path / "alike.csv", "--json")
    assert json.loads(scored.out)["accuracy"]["n"] == 1
    refused = fin("evaluate", folder, "--data", tmp_path / "alike.csv", "--encoding", "utf-8")
    assert (refused.code, "alike.csv:2: not utf-8: byte 0xfc" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--output", "{folder}/d.csv"], "d.csv: is a folder"),
        (["x", "--output", "{folder}/file/out.csv"], "file: is a file, so nothing can be written below it"),
        (["x", "--output", "{folder}/" + 300 * "n" + ".csv"], "File name too long"),
        (["--file", ""], "the path of the data is empty"),
        (["one", "\udce9t\udce9"], "argument 2: not UTF-8: byte 0xe9"),
    ],
)
def test_predict_refuses_before_the_model_loads(
    fin: Command,
    trained: fintune.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("fintune.inference.predictor.load", never)
    (tmp_path / "d.csv").mkdir()
    (tmp_path / "file").touch()
    result = fin("predict", trained.folder, *(argument.format(folder=tmp_path) for argument in arguments))
    assert result.code == 2
    assert message in result.err.splitlines()[0]
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "", "config.yaml: damaged: "),
        ("data.json", "{}", "data.json: damaged: "),
        ("scores.json", "[]", "scores.json: damaged: "),
        ("adapter/adapter_config.json", "{", "adapter_config.json: not the file that was scored"),
    ],
)
def test_a_damaged_run_is_named(
    fin: Command, trained: fintune.Run, tmp_path: Path, file: str, content: str, message: str
) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "moved"))
    (folder / file).write_text(content)
    result = fin("evaluate", folder)
    assert (result.code, message in result.err.splitlines()[-2]) == (2, True)


def test_debug_shows_the_traceback(fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fintune", "check", str(config_file), "--set", "nonsense", "--debug"])
    monkeypatch.setattr(output, "_debug", False)
    with pytest.raises(fintune.errors.ConfigError), handlers_kept():  # type: ignore[attr-defined]
        app.main()


NO_MEMORY = (
    "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), MemoryError(), RuntimeError(NO_MEMORY)])
def test_a_broken_environment_is_exit_code_1(
    fin: Command, config_file: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr("fintune.runs.run.Run.write_scores", fail)
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


@pytest.mark.parametrize(
    "blocks", [20, 36]
)  # 1,024 bytes each: the weights pass the first, the optimizer's state the second
def test_a_limit_on_the_size_of_files_is_named(config_file: Path, blocks: int) -> None:
    told = ["train", config_file, "--set", "train.epochs=1", "--set", "evaluation.baselines=[]"]
    code, _, err = run(*told, largest_file=1024 * blocks)
    assert code == 1
    assert "a file would be larger than is allowed here" in err
    assert "ulimit -f unlimited" in err
    assert "permissions" not in err


def test_a_library_that_does_not_fit_into_memory_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    error = as_error(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    assert error is not None
    assert (error.exit_code, error.message) == (1, "out of memory")
    assert as_error(ImportError("cannot import name 'x'")) is None


@pytest.mark.parametrize(
    ("number", "code", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "told to stop")]
)
def test_a_signal_ends_in_two_lines_and_the_finished_run_stays(
    config_file: Path, tmp_path: Path, fin: Command, number: int, code: int, told: str
) -> None:
    assert fin("train", config_file, "--set", "train.epochs=1").code == 0
    finished = (tmp_path / "runs" / "tiny" / "scores.json").read_bytes()
    process = Process("train", config_file, "--overwrite", "--set", "train.epochs=500")
    next(line for line in process.lines() if line.startswith("epoch"))  # the first epoch has been scored
    process.send_signal(number)
    ended, _, rest = process.end()
    assert ended == code
    assert "Traceback" not in rest
    assert [line[:6] for line in rest.splitlines()[-2:]] == ["error:", "next: "]
    assert told in rest
    assert (tmp_path / "runs" / "tiny" / "scores.json").read_bytes() == finished


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "error: Missing argument 'CONFIG|DATA...'"),
        (["trian"], "error: No such command 'trian'"),
        (["train", "x.yaml", "--sett", "a=b"], "error: No such option"),
        (["predict", "runs/x", "--output"], "error: Option '--output' requires an argument"),
    ],
)
def test_a_command_typed_wrongly_gets_two_lines(fin: Command, arguments: list[str], message: str) -> None:
    result = fin(*arguments)
    assert (result.code, len(result.err.splitlines())) == (2, 2)
    assert result.err.startswith(message)
    assert "--help" in result.err.splitlines()[1]


def test_without_a_command_the_help_is_shown(fin: Command) -> None:
    result = fin()
    assert (result.code, "predict" in result.out) == (2, True)


def test_texts_are_printed_whatever_the_locale(trained: fintune.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "涨 é")
    command = [sys.executable, "-m", "fintune.cli.app", "inspect", str(folder)]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, check=True)
    assert "涨 é" in done.stdout.decode("utf-8")


def test_an_output_is_never_the_file_that_is_read(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    path = tmp_path / "labeled.csv"
    path.write_text("text,label\nA b +,positive\n")
    (tmp_path / "link.csv").symlink_to(path)
    for place in (path, tmp_path / "link.csv", tmp_path / "." / "labeled.csv"):
        result = fin("predict", trained.folder, "--file", path, "--output", place)
        assert (result.code, "is the file that is read" in result.err) == (2, True)
    assert path.read_text() == "text,label\nA b +,positive\n"


def test_check_exits_with_1_when_something_is_severe(fin: Command, config_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"text": f"Nothing alike {i}", "label": "neutral"}) + "\n" for i in range(5)))
    assert fin("check", config_file, "--no-doubt", "--against", other).code == 0
    rows = Path(json.loads(config_file.read_text())["data"]["path"])
    shown = fin("check", config_file, "--no-doubt", "--against", rows)
    assert shown.code == 1
    for part in ("overlap", "90 of 90 texts stand there too", "label here (row)", "next: mend what is severe"):
        assert part in shown.out, part
    asked = fin("check", config_file, "--no-doubt", "--against", rows, "--json")
    assert asked.code == 1
    assert json.loads(asked.out)["against"]["labels"]["negative"] == {"negative": 30}
    missing = fin("check", config_file, "--against", tmp_path / "none.csv")
    assert (missing.code, "no such file" in missing.err) == (2, True)


def test_check_shows_samples_of_numbered_labels_and_doubtful_rows(
    fin: Command, config_file: Path, tmp_path: Path
) -> None:
    settings = json.loads(config_file.read_text())
    rows = [json.loads(line) for line in Path(settings["data"]["path"]).read_text().splitlines()]
    numbers = {"negative": 0, "neutral": 1, "positive": 2}
    rows[4]["label"] = "negative"
    (tmp_path / "n.jsonl").write_text(
        "".join(json.dumps(row | {"label": numbers[row["label"]]}) + "\n" for row in rows)
    )
    settings["data"] = {"path": str(tmp_path / "n.jsonl"), "label_map": {n: label for label, n in numbers.items()}}
    config_file.write_text(json.dumps(settings))
    shown = fin("check", config_file)
    assert shown.code == 0
    assert "0 = negative" in shown.out
    assert "labels to review" in shown.out
    assert "n.jsonl:5" in shown.out


def test_predict_streams_a_file_into_a_file(fin: Command, trained: fintune.Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"headline": "A b +"}\n{"headline": 3}\n')
    command = ("predict", trained.folder, "--file", tmp_path / "in.jsonl", "--text-column", "headline", "--output")
    result = fin(*command, tmp_path / "out.csv")
    assert result.code == 0
    assert "out.csv: 1\n" in result.err
    assert "out.csv.errors.jsonl: 1\n" in result.err
    assert fin(*command, tmp_path / "out.txt").code == 2


def test_help_names_extras_whole(fin: Command) -> None:
    """Rich takes a word in brackets for markup."""
    for command, extra in (("compare", "fintune[search]"), ("check", "fintune[pii]")):
        assert extra in "".join(fin(command, "--help").out.split("│")).replace("\n", " ")


@pytest.mark.parametrize(
    ("texts", "typed"),
    [
        (['It\'s $(rm -rf) `x` "now"'], ['It\'s $(rm -rf) `x` "now"']),
        (["-x", "\x1b[2J", "  "], ["--file", "FILE"]),
        (["-x", "word " * 40], ["word " * 11 + "..."]),
    ],
)
def test_the_next_command_can_be_typed_whatever_the_texts_hold(
    monkeypatch: pytest.MonkeyPatch, trained: fintune.Run, texts: list[str], typed: list[str]
) -> None:
    made = [prediction(str(i), text, "", None, {}) for i, text in enumerate(texts)]
    monkeypatch.setattr("fintune.runs.run.Run.predictions", lambda *_: made)
    assert shlex.split(train._a_text_of(trained)) == typed


def test_a_run_whose_base_has_moved_says_how_to_name_the_new_place(
    fin: Command, config_file: Path, tiny_causal: Path, tiny_seq2seq: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_causal, tmp_path / "base"))
    assert fin("train", config_file, "--set", "train.epochs=1", "--set", f"model.base={base}").code == 0
    run = tmp_path / "runs" / "tiny"
    before = fin("predict", run, "Bormas of Lima +", "--json").out
    base.rename(tmp_path / "moved 'there'")
    for command in (("predict", run, "x"), ("evaluate", run), ("explain", run, "x y")):
        lost = fin(*command)
        assert (lost.code, f"no folder '{base}'" in lost.err, "--base FOLDER with predict" in lost.err) == (
            2,
            True,
            True,
        )
        assert fin(*command, "--base", tmp_path / "moved 'there'").code == 0
    assert fin("predict", run, "Bormas of Lima +", "--json", "--base", tmp_path / "moved 'there'").out == before
    assert "sha256 differs" in fin("predict", run, "x", "--base", tiny_seq2seq).err


def test_a_cache_that_cannot_be_written_names_the_variable_that_moves_it(
    fin: Command, trained: fintune.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "taken" / "cache"))
    refused = fin("adapters", "add", trained.folder)
    last = refused.err.splitlines()[-2:]
    assert refused.code == 1
    assert last[0].endswith("nothing can be written there: Not a directory")
    assert last[1].startswith("next:  Set FINTUNE_CACHE to a folder")


def test_help_loads_nothing_that_computes() -> None:
    """`fintune --help` answers at once: no library that computes, no room of the package but cli, runtime and the names of formats."""
    code = (
        "import atexit, sys; sys.argv = ['fintune', '--help']\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from fintune.cli.app import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert {"typer", "rich.console", "fintune.cli.commands.train"} <= loaded
    heavy = {"torch", "numpy", "scipy", "sklearn", "transformers", "peft", "pydantic", "ruamel"}
    made_lazy = {
        "json",
        "fintune.records",
        "fintune.config",
        "fintune.data",
        "fintune.runs",
        "fintune.tasks",
    }
    assert (heavy | made_lazy) & loaded == set()


HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets", "bitsandbytes", "scipy.stats", "sklearn"}


@pytest.mark.parametrize(
    ("command", "tokenizer", "needed"),
    [
        (["init", "run.yaml", "--data"], True, set()),
        (["check", "--no-doubt"], False, set()),
        (["check"], False, {"sklearn", "scipy.stats"}),
        (["check", "--no-doubt"], True, {"transformers"}),
    ],
)
def test_a_look_into_a_file_loads_no_library_it_does_not_need(
    command: list[str], tokenizer: bool, needed: set[str], rows_file: Path, tmp_path: Path
) -> None:
    """Labels are reviewed with scikit-learn, which loads scipy.stats; tokens are counted with transformers; nothing needs torch."""
    if tokenizer:
        gemma_tokenizer().save_pretrained(tmp_path / "gemma-3-270m")
        (tmp_path / "gemma-3-270m" / "config.json").write_text('{"model_type": "gemma3_text", "vocab_size": 300}')
    code = (
        f"import atexit, sys; sys.argv = ['fintune', *{[*command, str(rows_file)]!r}]\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from fintune.cli.app import main; main()"
    )
    places = {"FINTUNE_CACHE": str(tmp_path), "PYTHONPATH": str(Path(fintune.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | places, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "fintune.data.guess.guess" in loaded
    assert loaded & HEAVY == needed


@pytest.mark.parametrize(
    ("words", "completed"), [("fintune tr", {"train", "trim"}), ("fintune train --ov", {"--overwrite"})]
)
def test_a_shell_completes_commands_and_options_and_loads_nothing_that_computes(
    words: str, completed: set[str]
) -> None:
    code = (
        "import atexit, sys; sys.argv = ['fintune']\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from fintune.cli.app import main; main()"
    )
    asked_by_bash = {"_FINTUNE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | asked_by_bash
    )
    assert set(done.stdout.split()) == completed
    assert {"torch", "numpy", "transformers", "fintune.runs"} & set(done.stderr.split()) == set()


def test_help_reads_the_signature_of_no_command_but_the_one_that_is_asked(
    fin: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    make = deferred.get_command
    monkeypatch.setattr(deferred, "get_command", lambda app: built.append("one") or make(app))
    assert fin("--help").out.count("│ train ") == 1
    assert built == []
    assert "--resume" in fin("train", "--help").out
    assert built == ["one"]

"""What is said where answers are no labels, or a task of one's own goes wrong: in two lines, before weights load."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

import fintune
from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.errors import ConfigError, DataError, ModelError, RunError
from fintune.evaluation.verdict import TrainAnswers, judge
from fintune.records import Prediction
from fintune.runs.files import MANIFEST
from fintune.runs.run import Run
from fintune.runtime.files import locked
from fintune.tasks.regression import Regression, RegressionOptions
from tests.conftest import Command
from tests.families import save
from tests.test_other_answers import VALUES, quick, written
from tests.tiny import config_for, tiny_rows

MINE = Path(__file__).resolve().parent.parent / "examples" / "my_task.py"


@pytest.fixture
def loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintune.training.train.load_base", lambda config: pytest.fail("weights were loaded"))


def numbers(folder: Path, model: Path, rows: list[dict[str, Any]] | None = None, **task: Any) -> dict[str, Any]:
    rows = rows or [{"text": row["text"], "label": VALUES[row["label"]]} for row in tiny_rows(60)]
    return quick(model, written(folder / "rows.jsonl", rows), folder, **({"name": "regression"} | task))


@pytest.mark.usefixtures("registries_kept", "loads_nothing")
@pytest.mark.parametrize(
    ("method", "body", "what"),
    [
        ("prompt", "return None if '3' in example.id else super().prompt(example)", "prompt returned NoneType, not Prompt"),
        ("prompt", "return Prompt(())", "prompt returned Prompt, not Prompt"),
        ("target", "return ' '", "target returned str, not str that says something"),
        ("target", "raise SystemExit('3' in example.id)", "target: SystemExit"),
        ("parse_answer", "return None if '3' not in example.id else [text]", "parse_answer returned list"),
        ("stratum", "return 3", "stratum returned int, not str or None"),
        ("score", "return {'exact': np.full(len(weights), np.nan)}", "score returned nan for exact, a metric from 0 to 1"),
        ("score", "return {'exact': np.full(len(weights), 7.0)}", "score returned 7 for exact, a metric from 0 to 1"),
        ("score", "return {'exact': np.full(3, 1.0)}", "score returned dict, not an array"),
        ("parse", "return [Example('x', row.fields, row.target)]", "parse gave two examples the id 'x'"),
        ("parse", "return [Example(row.id, {}, row.target)]", "returned an Example whose field text is no str"),
        ("parse", "return [Example(row.id, row.fields, row.target, date=3)]", "returned an Example whose date is no str"),
        ("parse", "return [Fault(where=None, problem='x')]", "returned a Fault that does not say where or what"),
    ],
)  # fmt: skip
def test_what_a_task_of_ones_own_does_on_any_example_is_tried_first(
    method: str, body: str, what: str, tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    arguments = {"parse": "row", "score": "predictions, weights", "parse_answer": "text, example"}
    own = MINE.read_text("utf-8").replace("COMPANY = TaskEntry(", "MINE = TaskEntry(")
    kind, made = own[: own.rindex("MINE = ")], own[own.rindex("MINE = ") :]
    odd = f"from fintune.records import Prompt\n\n\nclass Odd(Company):\n    def {method}(self, {arguments.get(method, 'example')}):\n"
    (tmp_path / "mine.py").write_text(f"{kind}{odd}        {body}\n\n\n{made.replace('Company,', 'Odd,')}")
    config = tmp_path / "run.yaml"
    data = written(tmp_path / "rows.jsonl", tiny_rows(60))
    config.write_text(json.dumps(config_for(tiny_causal, data, tmp_path) | {"task": {"name": "company"}}))
    refused = fin("train", config, "--code", tmp_path / "mine.py")
    assert (refused.code, len(refused.err.splitlines())) == (2, 2), refused.err
    assert what in refused.err.splitlines()[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("registries_kept")
@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("CompanyOptions, Company,", "dict, Company,", "options is no class of TaskOptions"),
        ("CompanyOptions, Company,", "CompanyOptions, 3,", "build is nothing that can be called"),
        ("CompanyOptions, Company,", "CompanyOptions, lambda options: None,", "fields is not a list of names"),
        ("CompanyOptions, Company,", "CompanyOptions, lambda options: 1 / 0,", "build: ZeroDivisionError"),
        ('noun = "company"', "noun = 3", "noun is no str"),
        ("    version = 1", '    version = "one"', "version is no int"),
    ],
)  # fmt: skip
def test_what_a_task_says_of_itself_is_looked_at(
    old: str, new: str, what: str, tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    own = MINE.read_text("utf-8")
    assert old in own
    (tmp_path / "mine.py").write_text(own.replace(old, new))
    config = tmp_path / "run.yaml"
    data = written(tmp_path / "rows.jsonl", tiny_rows(30))
    config.write_text(json.dumps(config_for(tiny_causal, data, tmp_path) | {"task": {"name": "company"}}))
    refused = fin("train", config, "--code", tmp_path / "mine.py")
    assert (refused.code, len(refused.err.splitlines())) == (2, 2), refused.err
    assert what in refused.err.splitlines()[0]


@pytest.mark.usefixtures("loads_nothing")
def test_numbers_that_cannot_be_split_are_refused_and_checked(tiny_causal: Path, tmp_path: Path, fin: Command) -> None:
    alike = [{"text": "firm of Oslo rose", "label": (i % 21 - 10) / 10} for i in range(60)]
    config = numbers(tmp_path, tiny_causal, alike)
    config["data"] |= {"drop": []}
    with pytest.raises(
        DataError, match=r"data.path: no example in the validation part: its 60 rows are nearly the same"
    ) as refused:
        fintune.train(config)
    assert "data.split.by: stratified" in refused.value.hint
    place = tmp_path / "run.yaml"
    place.write_text(json.dumps(config))
    assert "no example in the validation part" in fin("check", place).out
    apart = [{"text": f"firm number {i} of Oslo rose {i % 7}", "label": (i % 21 - 10) / 10} for i in range(60)]
    assert all(prepare(load(numbers(tmp_path, tiny_causal, apart))).splits.parts.values()), (
        "told apart by their numbers"
    )

    config = numbers(tmp_path, tiny_causal)
    (tmp_path / "bare.csv").write_text("text,label\n")
    config["data"]["test"] = str(tmp_path / "bare.csv")
    with pytest.raises(DataError, match=r"data.test: no example in the test part"):
        fintune.train(config)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"text": f"{row['text']} {i}", "label": 0.5} for i, row in enumerate(tiny_rows(30))], "all examples have the answer '0.5'"),
        ([{"text": row["text"], "label": VALUES[row["label"]]} for row in tiny_rows(6)], "6 distinct examples are too few to split"),
    ],
)  # fmt: skip
def test_check_says_what_train_refuses(
    rows: list[dict[str, Any]], what: str, tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(numbers(tmp_path, tiny_causal, rows)))
    checked = fin("check", config)
    assert (checked.code, what in checked.out) == (1, True)


def test_the_mean_is_always_asked(tmp_path: Path) -> None:
    task = Regression(RegressionOptions())
    made = [
        Prediction(str(i), {"text": f"t {i}"}, 0.4 + i % 2 / 1000, "0.2", {}, (i % 21 - 10) / 10) for i in range(200)
    ]
    (said,) = judge(task, made, {}, TrainAnswers(mean=0.0))
    assert (said.kind, said.level, said.values["name"]) == ("behind", "severe", "mean")
    low, high = (float(end) for end in said.values["difference"].split(" to "))
    assert 0 < low < high, "of MAE itself: more of it is worse"
    assert judge(task, made, {}, TrainAnswers()) == []


@pytest.mark.parametrize(
    ("settings", "error", "what"),
    [
        (["train.class_weights=balanced"], ConfigError, "train.class_weights: balanced needs labels, and task regression has none"),
        (["train.sampling=balanced"], ConfigError, "train.sampling: balanced needs labels"),
        (["data.text_column=label"], DataError, r"data.text_column: 'label' is the column of the answers"),
        (["data.label_map={bad: fine}"], ConfigError, "data.label_map.bad: 'fine' is no value of the task"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("loads_nothing")
def test_settings_that_mean_nothing_for_numbers_are_refused(
    settings: list[str], error: type[Exception], what: str, tiny_causal: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=what):
        fintune.train(numbers(tmp_path, tiny_causal), settings)


def test_numbers_beside_mapped_words_stand_as_they_are(tiny_causal: Path, tmp_path: Path) -> None:
    rows = [
        {"text": row["text"], "label": "bad" if i % 9 == 0 else VALUES[row["label"]]}
        for i, row in enumerate(tiny_rows(60))
    ]
    config = numbers(tmp_path, tiny_causal, rows)
    config["data"]["label_map"] = {"bad": -1}
    parts = prepare(load(config)).splits.parts
    assert {e.target for part in parts.values() for e in part} == {-1.0, 0.0, 1.0}


def test_lists_in_a_column_of_the_prompt_are_no_text(tiny_causal: Path, tmp_path: Path, fin: Command) -> None:
    rows = [{"title": ["a", "b"] if i == 3 else "a", **row} for i, row in enumerate(tiny_rows(30))]
    data, prompt = written(tmp_path / "rows.jsonl", rows), "{title}: {text}{answer}"
    config = quick(tiny_causal, data, tmp_path, name="sentiment", prompt=prompt)
    with pytest.raises(DataError, match=r"rows.jsonl:4: 'title' is list, not text"):
        prepare(load(config))


def test_what_comes_next_is_what_works(tiny_causal: Path, tmp_path: Path, fin: Command) -> None:
    rows = [{"title": "a", **row} for row in tiny_rows(60)]
    config = tmp_path / "run.yaml"
    data = written(tmp_path / "rows.jsonl", rows)
    config.write_text(
        json.dumps(quick(tiny_causal, data, tmp_path, name="sentiment", prompt="{title}: {text}{answer}"))
    )
    checked = fin("check", config, "--set", "train.epochs=1", "--set", "data.license=house rules")
    assert f"next: fintune train {config} --set train.epochs=1 --set 'data.license=house rules'" in checked.out
    trained = fin(
        "train",
        config,
        "--set",
        "train.epochs=1",
        "--set",
        "train.learning_rate=3e-3",
        "--set",
        "evaluation.baselines=[]",
    )
    assert trained.code == 0
    run = Run.open(tmp_path / "runs" / "tiny")
    assert "--file FILE" in trained.out or run.claims().learned_nothing
    assert f"next: fintune predict {run.folder} 'a" not in trained.out
    assert "none dropped" in (run.folder / "README.md").read_text()


def test_prompts_are_kept_and_answers_found_whatever_the_case() -> None:
    written_out = load({"task": {"name": "sentiment", "prompt": "{text}\n情绪：{answer}"}}).task
    assert written_out.prompt == "{text}\n情绪：{answer}"  # type: ignore[attr-defined]
    chinese = load({"task": {"language": "zh", "labels": ["Negative", "Neutral", "Positive"]}}).task
    assert chinese.answers == {"Negative": "负面", "Neutral": "中性", "Positive": "正面"}  # type: ignore[attr-defined]
    assert load({"task": {"labels": ["Negative", "Positive"]}}).task.answers == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("family", "module"), [("mbart", "q_proj"), ("mt5", "q")])
def test_rows_of_an_embedding_that_is_adapted_are_not_trained_too(
    family: str, module: str, rows_file: Path, tmp_path: Path
) -> None:
    config = config_for(save(family, tmp_path / "model"), rows_file, tmp_path)
    config["method"] = {"name": "lora", "target_modules": [module, "embed_tokens"], "trainable_tokens": [5]}
    with pytest.raises(ModelError, match=r"embed_tokens is adapted already"):
        fintune.train(config)


def test_answers_of_another_task_are_damage(trained: fintune.Run, tmp_path: Path, fin: Command) -> None:
    for old, new in (('"negative"', '"bad"'), ('"text"', '"body"')):
        folder = shutil.copytree(trained.folder, tmp_path / new.strip('"'))
        stored = folder / "predictions.validation.jsonl"
        stored.write_text(stored.read_text().replace(f"{old}: ", f"{new}: "))
        refused = fin("predict", folder, "Alvex +")
        assert (refused.code, len(refused.err.splitlines())) == (2, 2)
        assert "predictions.validation.jsonl: damaged: line 1: " in refused.err


def test_a_kept_adapter_is_scored_on_what_it_has(
    trained: fintune.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fin: Command
) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "kept"))
    assert fin("adapters", "add", trained.folder, "--name", "kept").code == 0
    evaluated = fin("evaluate", "kept", "--json")
    assert json.loads(evaluated.out)["accuracy"]["value"] == trained.scores()["test"]["accuracy"].value
    assert fin("explain", "kept").code == 0


def test_a_run_of_a_version_without_a_manifest_is_refused_by_it(trained: fintune.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "old")
    (folder / MANIFEST).unlink()
    record = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(
        json.dumps(record | {"packages": record["packages"] | {"fintune": "0.1.0"}})
    )
    with pytest.raises(RunError, match=r"made by FinTune 0\.1\.0, whose runs this FinTune does not read"):
        Run.open(folder)


def test_the_version_is_told(fin: Command) -> None:
    told = fin("--version")
    assert (told.code, told.out.strip()) == (0, version("fintune"))


def test_a_column_that_is_never_shortened_and_does_not_fit_is_told_by_check(
    tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    rows = [{**row, "title": "a long title " * (20 if i == 7 else 1)} for i, row in enumerate(tiny_rows(60))]
    config = quick(
        tiny_causal,
        written(tmp_path / "rows.jsonl", rows),
        tmp_path,
        name="sentiment",
        prompt="{title}: {text}{answer}",
    )
    place = tmp_path / "run.yaml"
    place.write_text(json.dumps(config))
    checked = fin("check", place, "--no-doubt")
    assert (checked.code, "task.shortened" in checked.out) == (1, True)
    refused = fin("train", place)
    assert "rows.jsonl:8: model.max_length: 96 tokens cannot hold template, answer and columns" in refused.err
    assert "task.shortened" in refused.err


@pytest.mark.usefixtures("registries_kept")
def test_a_task_need_not_carry_dates_and_groups(tiny_causal: Path, tmp_path: Path) -> None:
    fintune.load_code(MINE)
    rows = [{**row, "day": f"2024-01-{1 + i % 28:02}", "firm": f"firm {i // 3}"} for i, row in enumerate(tiny_rows(60))]
    config = quick(tiny_causal, written(tmp_path / "rows.jsonl", rows), tmp_path, name="company")
    config["data"] |= {"date_column": "day", "group_column": "firm", "split": {"by": "group"}}
    parts = prepare(load(config)).splits.parts
    assert {e.date is not None and e.group is not None for part in parts.values() for e in part} == {True}
    firms = [firm for part in parts.values() for firm in {e.group for e in part}]
    assert len(firms) == len(set(firms)), "no firm stands in two parts"


def test_a_baseline_that_was_asked_for_and_does_not_fit_is_told(
    tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    config = numbers(tmp_path, tiny_causal)
    config["evaluation"]["baselines"] = ["majority"]
    place = tmp_path / "run.yaml"
    place.write_text(json.dumps(config))
    assert "left out: majority" in fin("train", place).err
    card = (Path(config["output"]) / config["name"] / "README.md").read_text()
    assert "spearmanr" in card.split("---")[1]


@pytest.mark.parametrize(
    ("text", "label", "prompt"),
    [("1", "2", "{text} {-1}{answer}"), ("-2", "-1", "{text} {2}{answer}"), ("-1", "2", "{text}{answer}")],
)
@pytest.mark.usefixtures("loads_nothing")
def test_the_answers_are_not_read_under_another_number(
    text: str, label: str, prompt: str, tiny_causal: Path, tmp_path: Path
) -> None:
    (tmp_path / "bare.csv").write_text("".join(f"{row['text']},{row['label']}\n" for row in tiny_rows(60)))
    config = quick(tiny_causal, tmp_path / "bare.csv", tmp_path, name="sentiment", prompt=prompt)
    config["data"] |= {"header": False, "text_column": text, "label_column": label}
    with pytest.raises(DataError, match="is read by the prompt, and is that of the answers"):
        fintune.train(config)


@pytest.mark.usefixtures("registries_kept", "loads_nothing")
@pytest.mark.parametrize(
    "default", ["Path: Path = Path('x')", "set[str]: set[str] = {'a'}", "dict[int, str]: dict[int, str] = {1: 'a'}"]
)
def test_an_option_that_no_config_can_hold_is_refused(default: str, tiny_causal: Path, tmp_path: Path) -> None:
    code, (_, option) = MINE.read_text(), default.split(": ", 1)
    mine = tmp_path / "mine.py"
    line = '    prompt: str = "{text}\\nCompany: {answer}"\n'
    assert line in code
    mine.write_text(
        "from pathlib import Path\n"
        + code.replace(line, f"{line}    depth: {option}\n").replace('from pathlib import Path\n"""', '"""')
    )
    fintune.load_code(mine)
    config = quick(tiny_causal, written(tmp_path / "rows.jsonl", tiny_rows(60)), tmp_path, name="company")
    with pytest.raises(ConfigError, match=r"task\.depth: \w+ cannot be kept in a config"):
        fintune.train(config)
    assert not (tmp_path / "runs").exists()


def test_inspect_of_a_run_with_another_task(trained: fintune.Run, tmp_path: Path, fin: Command) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "other")
    config = load(folder / "config.yaml").model_dump()
    (folder / "config.yaml").write_text(json.dumps({**config, "task": {"name": "regression"}}))
    assert fin("inspect", folder).code == 0


def test_what_comes_next_names_the_code(registries_kept: None, tiny_causal: Path, tmp_path: Path, fin: Command) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        json.dumps(quick(tiny_causal, written(tmp_path / "rows.jsonl", tiny_rows(60)), tmp_path, name="company"))
    )
    done = fin("train", config, "--code", MINE, "--set", "train.epochs=1")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].endswith(f" --code {MINE}") or f"--code {MINE} shows" in done.out.splitlines()[-1]


@pytest.mark.parametrize("by", ["near-duplicates", "stratified"])
def test_a_share_of_less_than_one_row_is_told_as_that(by: str, tiny_causal: Path, tmp_path: Path) -> None:
    config = numbers(tmp_path, tiny_causal)
    config["data"]["split"] = {"by": by, "train": 0.8, "validation": 0.001, "test": 0.199}
    with pytest.raises(DataError) as failure:
        prepare(load(config))
    assert (
        failure.value.message == "data.path: no example in the validation part: 0.001 of its 60 rows is less than one"
    )
    assert failure.value.hint == "Raise the part's share in data.split."


def test_check_refuses_to_balance_numbers(tiny_causal: Path, tmp_path: Path, fin: Command) -> None:
    place = tmp_path / "run.yaml"
    place.write_text(json.dumps(numbers(tmp_path, tiny_causal)))
    checked = fin("check", place, "--set", "train.sampling=balanced")
    assert (checked.code, "balanced needs labels" in " ".join(checked.out.split())) == (1, True)


def test_a_scored_run_without_a_manifest_has_no_page(trained: fintune.Run, tmp_path: Path, fin: Command) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "bare")
    (folder / MANIFEST).unlink()
    refused = fin("report", folder)
    assert (refused.code, "no manifest.json" in refused.err) == (2, True)


def test_a_run_whose_settings_are_none_any_more_is_not_to_be_rescored(
    trained: fintune.Run, tmp_path: Path, fin: Command
) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "other")
    config = load(folder / "config.yaml").model_dump()
    config["task"]["name"] = "regression"
    (folder / "config.yaml").write_text(json.dumps(config))
    for command in ("evaluate", "report"):
        assert "--rescore" not in fin(command, folder).err


def test_a_place_that_takes_no_files_is_not_called_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: FileLock, timeout: float) -> None:
        raise Timeout(self.lock_file)

    monkeypatch.setattr(FileLock, "acquire", refused)
    with pytest.raises(RunError, match="no file can be written there"), locked(tmp_path / "a", hint="Wait."):
        pass
    (tmp_path / ".b.lock").touch()
    with pytest.raises(RunError, match="another process is writing it"), locked(tmp_path / "b", hint="Wait."):
        pass

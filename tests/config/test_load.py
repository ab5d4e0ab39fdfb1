"""All problems at once, each with its place and the nearest name; YAML as people mean it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fintune.config.load import dump, load, unchecked
from fintune.config.template import template
from fintune.errors import ConfigError
from fintune.runtime.untrusted import parse_yaml


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(raw)
    return caught.value.problems


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_all_problems_at_once_with_the_nearest_name() -> None:
    raw = {
        "nam": "x",
        "train": {"learnin_rate": 1, "epochs": 0},
        "data": {"split": {"trian": 0.3}, "format": "cvs"},
        "method": {"lora_alhpa": 3},
        "task": {"name": "clasification"},
    }
    assert sorted(problems(raw)) == [
        "data.format: unknown format. Did you mean 'csv'? (found 'cvs')",
        "data.split.trian: unknown setting. Did you mean 'train'?",
        "method.lora_alhpa: unknown setting. Did you mean 'lora_alpha'?",
        "nam: unknown setting. Did you mean 'name'?",
        "task.name: unknown task 'clasification'. Did you mean 'classification'?",
        "train.epochs: must be auto, or 1 to 1,000 (found 0)",
        "train.learnin_rate: unknown setting. Did you mean 'learning_rate'?",
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"train": 3}, "train: "),
        ({"method": "lora"}, "method: "),
        ({"task": ["sentiment"]}, "task: "),
        ({"task": {"name": "classification"}}, "task.labels: must be set"),
        ({"data": {"split": {"train": 0.9}}}, "data.split: train, validation and test add up to 1.2, not 1"),
        ({"name": "../elsewhere"}, "name: "),
        ({"train": {"learning_rate": "fast"}}, "train.learning_rate: "),
        ({"method": {"name": ["lora"]}}, "method.name: unknown method"),
    ],
)
def test_a_problem_names_its_place(raw: dict[str, Any], message: str) -> None:
    found = problems(raw)
    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"train": 3}, "train: holds settings, one a line, not a value (found 3)"),
        ({"data": {"split": "half"}}, "data.split: holds settings, one a line, not a value"),
        ({"model": {"dtype": "int8"}}, "model.dtype: Input should be 'auto', 'float32', 'bfloat16' or 'float16'"),
        (
            {"evaluation": {"baselines": ["tfidf", "knn"]}},
            "evaluation.baselines: unknown baseline 'knn'. Allowed: majority, mean, tfidf, ",
        ),
        ({"train": {"zzz": 1}}, "train.zzz: unknown setting. Allowed: epochs, learning_rate, batch_size, "),
        ({3: "x"}, "3: Keys should be strings"),
        ({"task": {"answers": {"postive": "x"}}}, "task: answers names the label 'postive'. Did you mean 'positive'?"),
    ],
)
def test_a_problem_says_what_is_allowed(raw: dict[Any, Any], problem: str) -> None:
    (line,) = problems(raw)
    assert line.startswith(problem)


def test_a_file_is_parsed_once_and_what_one_does_to_it_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    monkeypatch.setattr("fintune.config.load.parse_yaml", lambda text: parsed.append(text) or parse_yaml(text))
    path = tmp_path / "run.yaml"
    path.write_text("name: once, of this test alone\ntask: {labels: [up, down]}\n")
    first = unchecked(path)
    first["task"]["labels"].append("mine")
    assert unchecked(path)["task"]["labels"] == ["up", "down"]
    assert len(parsed) == 1
    path.write_text("name: changed, in this test alone\n")
    assert unchecked(path) == {"name": "changed, in this test alone"}


def test_numbers_are_numbers_and_labels_stay_text(tmp_path: Path) -> None:
    text = "train: {learning_rate: 2e-4}\ntask: {name: classification, labels: [no, yes, 3, on]}\n"
    config = load(written(tmp_path, text))
    assert config.train.learning_rate == 0.0002
    assert config.task.labels == ["no", "yes", "3", "on"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epochs: [1\n", r"run\.yaml:3: not YAML"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}\n", r"run\.yaml:2: not YAML: found duplicate key"),
        ("- a\n- b\n", "holds list, not sections"),
        ("", "holds NoneType, not sections"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, text))


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such config file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ConfigError, match="not utf-16: byte 0x00"):
        load(tmp_path / "b.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ConfigError, match="not UTF-8 text; it looks like UTF-16 without its mark, or no text at all"):
        load(tmp_path / "b.yaml")


@pytest.mark.parametrize(
    "raw", [{}, {"task": {"language": "zh"}}, {"task": {"name": "classification", "labels": ["no", "1"]}}]
)
def test_a_dumped_config_is_the_same_config(tmp_path: Path, raw: dict[str, Any]) -> None:
    config = load(raw)
    assert load(written(tmp_path, dump(config))) == config
    assert load(config) == config


@pytest.mark.parametrize(
    "text", ["no", "1e-3", "0x1F", "null", "2024-01-01", "", " a ", "a: b # c", "涨\n跌", "'\"\\", "a\x85b\u2028c"]
)
def test_text_that_looks_like_something_else_survives_a_dump(tmp_path: Path, text: str) -> None:
    config = load({"data": {"path": text}, "task": {"prompt": f"{text} {{text}}\n{text}{{answer}}"}})
    (tmp_path / "run.yaml").write_text(dump(config), encoding="utf-8")
    assert load(tmp_path / "run.yaml") == config


def test_a_config_never_changes() -> None:
    with pytest.raises(ValidationError):
        load({}).train.epochs = 5  # type: ignore[misc]


def test_a_name_fits_a_file_system() -> None:
    with pytest.raises(ConfigError, match="name: is longer than 200 bytes"):
        load({"name": "名" * 90, "data": {"path": "x.csv"}})


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_loads(path: Path) -> None:
    assert load(path).name


@pytest.mark.parametrize("value", [0, [], "", False, 3])
def test_a_section_that_is_no_mapping(value: Any) -> None:
    assert problems({"train": value})[0].startswith("train: ")
    assert load({"train": None}) == load({})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf"])
def test_numbers_are_finite(value: Any) -> None:
    assert problems({"train": {"learning_rate": value}})[0].startswith("train.learning_rate: ")


@pytest.mark.parametrize("text", ["2024-13-45", "!!bool x", "[" * 3000, "{"])
def test_an_odd_override_is_text(text: str) -> None:
    with pytest.raises(ConfigError, match="name: "):
        load({}, [f"name={text}{'/' if text[0] == '2' else ''}"])


def test_a_digits_only_commit_is_text() -> None:
    assert load({}, ["model.revision=1234567"]).model.revision == "1234567"


def test_a_written_out_default_gives_way_to_the_chosen_language(tmp_path: Path) -> None:
    chinese = load({"task": {"language": "zh"}}).task
    assert load(written(tmp_path, template()), ["task.language=zh"]).task == chinese
    assert load(load({}), ["task.language=zh"]).task == chinese
    assert load({"task": {"language": "zh", "labels": ["negative", "neutral", "positive"]}}).task == chinese
    own = load(load({}), ["task.language=zh", "task.prompt='{text} => {answer}'"]).task
    assert own.prompt == "{text} => {answer}"  # type: ignore[attr-defined]
    assert problems({"task": {"language": ["zh"]}})[0].startswith("task.language: ")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"data": {"delimiter": ";;"}}, "data.delimiter: must be one character"),
        (
            {"data": {"label_map": {0: "nuetral"}}},
            "data.label_map.0: 'nuetral' is no label of the task. Did you mean 'neutral'?",
        ),
        (
            {"train": {"class_weights": "balanced", "sampling": "balanced"}},
            "train: class_weights and sampling both balance",
        ),
        ({"data": {"drop": ["empties"]}}, "data.drop: unknown kind of row 'empties'. Did you mean 'empty'?"),
    ],
)
def test_settings_that_do_not_go_together(raw: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(raw)
    assert caught.value.problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "data: {sources: [{paht: a.txt, label: negative}]}",
            "data.sources.0.paht: unknown setting. Did you mean 'path'?",
        ),
        ("data: {path: {}}", "data.path: must name a file, or a file for each label"),
        ("data: {path: []}", "data.path: must name a file, or a file for each label (found [])"),
    ],
)
def test_a_mistake_within_a_list_or_an_empty_one_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert said in refused.value.problems

"""A file of one kind where another is wanted is called what it is, with the command that takes it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fintune.cli.app import app
from fintune.config.load import load
from fintune.errors import ConfigError, FintuneError

NAMES = ("news.csv", "news.tsv", "news.jsonl", "news.xlsx", "news.txt", "news.parquet", "news.csv.gz", "news.json")


def told(*arguments: str) -> tuple[str, str]:
    failure = CliRunner().invoke(app, list(arguments)).exception
    assert isinstance(failure, FintuneError), failure
    assert failure.exit_code == 2
    return failure.message, failure.hint


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).write_text('[["text", "label"]]\n' if name.endswith(".json") else 'text,label\n"a: b,c\n')
    Path("run.yaml").write_text("name: a\n")
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").write_text("name: a\n")
    return tmp_path


@pytest.mark.parametrize("command", ["check", "train", "plan", "compare"])
@pytest.mark.parametrize("name", NAMES)
def test_data_where_a_config_is_wanted(here: Path, command: str, name: str) -> None:
    hint = f"fintune init run.yaml --data {name.removesuffix('.gz')}, then fintune check run.yaml"
    hint = f"Unpack it; then {hint}" if name.endswith(".gz") else hint
    assert told(command, name) == (f"{name}: a data file, not a config", hint)


@pytest.mark.parametrize("command", ["check", "train", "plan", "compare", "init"])
def test_a_run_where_a_config_is_wanted(here: Path, command: str) -> None:
    assert told(command, "runs/a") == (
        "runs/a: a run folder, not a config",
        "The config it was made with: runs/a/config.yaml",
    )
    assert told(command, "runs") == (
        "runs: a folder, not a config",
        "Name a .yaml file; write one with: fintune init",
    )


def test_init_never_writes_over_data(here: Path) -> None:
    before = Path("news.csv").read_bytes()
    assert told("init", "news.csv", "--force")[0] == "news.csv: a data file, not a config"
    assert Path("news.csv").read_bytes() == before


@pytest.mark.parametrize("command", [["predict", "{}", "a text"], ["evaluate", "{}"]])
def test_a_config_or_data_where_a_run_is_wanted(here: Path, command: list[str]) -> None:
    assert told(*(part.format("run.yaml") for part in command)) == (
        "run.yaml: a config, not a run folder",
        "Make the run with: fintune train run.yaml",
    )
    assert told(*(part.format("news.csv") for part in command)) == (
        "news.csv: a data file, not a run folder",
        "fintune evaluate RUN --data news.csv, or predict RUN --file",
    )


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "Profit rose", "label": "positive"}\n{"text": "Loss", "label": "negative"}\n',
        '{"text": ["Profit rose", "Loss"], "label": ["positive", "negative"]}',
        '{"data": [{"text": "Profit rose"}], "model": ["a"]}',
        '{"train": [{"text": "\\ud83d\\ude80"}]}',
    ],
    ids=["lines", "columns", "lists under sections' names", "parts"],
)
def test_data_in_json_are_no_config(here: Path, content: str) -> None:
    (here / "rows.json").write_text(content)
    with pytest.raises(ConfigError, match=r"rows\.json: a data file, not a config"):
        load(here / "rows.json")


def test_a_config_in_json_is_a_config(here: Path) -> None:
    from fintune.config.load import load

    Path("run.json").write_text('{"name": "json"}')
    assert load("run.json").name == "json"

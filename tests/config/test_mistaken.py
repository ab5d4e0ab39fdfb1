"""A file of one kind where another is wanted is called what it is, with the command that takes it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fintune.cli.app import app
from fintune.config.from_data import are_data
from fintune.config.load import load
from fintune.config.mistaken import holds_records, is_data
from fintune.errors import FintuneError

ROWS = [{"text": "Profit rose", "label": "positive"}, {"text": "Loss", "label": "negative"}]
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
        "{}\n{}\n".format(*(json.dumps(row) for row in ROWS)),
        json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}),
        json.dumps({"data": ROWS, "model": "a"}),
        json.dumps({"train": ROWS}),
        json.dumps(ROWS),
    ],
    ids=["lines", "columns", "under a section's name", "parts", "array"],
)
def test_data_in_json_are_no_config(here: Path, content: str) -> None:
    (here / "rows.json").write_text(content)
    assert holds_records(here / "rows.json")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "news.json"])
def test_data_are_told_by_their_names(here: Path, name: str) -> None:
    assert are_data([name])


def test_a_config_in_json_is_a_config(here: Path) -> None:
    Path("run.json").write_text('{"name": "json"}')
    assert load("run.json").name == "json"
    assert not are_data(["run.json"])


@pytest.mark.parametrize("name", ["news.zip", "news.gz", "news.csv.xz"])
def test_a_packed_file_is_data_whatever_it_is_called(name: str) -> None:
    assert is_data(Path(name))
    assert not is_data(Path("run.yaml"))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("data.delimiter=;;", "data.delimiter: must be one character"),
        ("data.header=perhaps", "data.header: Input should be a valid boolean"),
        ("data.label_colum=label", "data.label_colum: unknown setting. Did you mean 'label_column'?"),
    ],
)
def test_a_setting_that_is_wrong_by_itself_is_found_before_the_file_is_read(
    tmp_path: Path, setting: str, said: str
) -> None:
    path = tmp_path / "news.csv"
    path.write_text("text,label\nProfit rose again,up\nLoss widened again,down\n" * 4)
    assert said in told("check", str(path), "--set", setting)[0]

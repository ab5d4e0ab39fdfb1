"""A data file is enough: it is looked into, what was taken is said before weights load, and what nothing tells is asked."""

import csv
import json
from pathlib import Path

import pytest

import fintune
from fintune.config.load import load
from fintune.tasks import TASKS
from tests.conftest import Command
from tests.terminal import on_terminal
from tests.tiny import tiny_rows


@pytest.fixture
def news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty sentences under names of one's own, with two columns that may be the answer, in one of two files."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("news.csv", tiny_rows()[:60]), ("more.csv", tiny_rows()[60:])):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["headline", "mood"])
            writer.writerows((row["text"], row["label"]) for row in rows)
    with (tmp_path / "two.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["headline", "mood", "topic"])
        writer.writerows((row["text"], row["label"], "ab"[i % 2]) for i, row in enumerate(tiny_rows()))
    return tmp_path / "news.csv"


def tiny(model: Path) -> list[str]:
    settings = [
        f"model.base={model}",
        "model.device=cpu",
        "model.max_length=96",
        "train.epochs=1",
        "evaluation.resamples=100",
    ]
    settings += ["evaluation.baselines=[majority]", "method.lora_dropout=0"]
    return [part for setting in settings for part in ("--set", setting)]


def test_train_says_what_it_took_and_three_rows(fin: Command, news: Path, tiny_causal: Path) -> None:
    done = fin("train", "news.csv", *tiny(tiny_causal))
    assert done.code == 0, done.err
    config = load("runs/news/config.yaml")
    assert (config.data.text_column, config.data.label_column, config.task.name) == ("headline", "mood", "sentiment")
    said = done.err.splitlines()
    assert [line.split()[0] for line in said[:7]] == ["guess"] * 4 + ["row"] * 3
    assert said[1].split(maxsplit=1)[1] == "data.text_column: headline: the only column of sentences"
    first = tiny_rows()[0]
    assert said[4].split(maxsplit=1)[1] == rf"{first['text']}\nSentiment: {first['label']}"
    assert any(line.startswith("model") for line in said[7:]), "weights load afterwards"


def test_several_files_are_one_set(fin: Command, news: Path) -> None:
    done = fin("check", "news.csv", "more.csv", "--json", "--no-doubt")
    assert '"rows": 90' in done.out, done.err
    assert fin("check", "news.csv").out.splitlines()[-1] == "next: fintune train news.csv"


def test_a_setting_goes_before_a_guess(fin: Command, news: Path) -> None:
    done = fin("check", "two.csv", "--set", "data.label_column=topic", "--no-doubt")
    assert "guess      data.label_column" not in done.err
    assert "b 45" in " ".join(done.out.split()) or "45" in done.out


def test_what_nothing_tells_is_refused_with_what_to_type(fin: Command, news: Path) -> None:
    done = fin("train", "two.csv")
    assert done.code == 2
    assert done.err.splitlines() == [
        "error: two.csv: 2 columns may be the answer: mood (3 labels); topic (2 labels)",
        "next:  Choose: --set data.label_column=mood, or --set data.label_column=topic",
    ]
    assert not Path("runs").exists()


def test_on_a_terminal_it_is_asked(news: Path) -> None:
    code, shown = on_terminal(["check", "two.csv", "--no-doubt"], "7\n2\n", news.parent)
    assert code == 0, shown
    assert "  2  topic: 2 labels" in shown
    assert "One of these numbers, please" in shown
    assert "task.labels: 2 values" in shown
    assert "\\x1b" not in shown


def test_training_on_a_terminal_draws_bars(news: Path, tiny_causal: Path) -> None:
    code, shown = on_terminal(["train", "news.csv", *tiny(tiny_causal)], "", news.parent)
    assert code == 0, shown
    assert "\r\x1b[2K" in shown
    assert "\\x1b" not in shown
    assert "run: " in shown


def test_no_answer_on_a_terminal_is_the_refusal(news: Path) -> None:
    code, shown = on_terminal(["check", "two.csv", "--no-doubt"], "\x04", news.parent)
    assert code == 2
    assert "next:  Choose: --set data.label_column=mood" in shown


def test_init_writes_the_guess_with_its_reasons(fin: Command, news: Path) -> None:
    assert fin("init", "run.yaml", "--data", "news.csv", "--data", "more.csv", "--set", "train.epochs=7").code == 0
    written = Path("run.yaml").read_text()
    assert "  # guessed: headline: the only column of sentences\n  text_column: headline" in written
    config = load("run.yaml")
    assert (config.name, config.data.path, config.train.epochs) == ("news", ["news.csv", "more.csv"], 7)
    assert config.task == load("news.csv").task


def test_from_python(news: Path, tiny_causal: Path) -> None:
    run = fintune.train([news, news.with_name("more.csv")], [part for part in tiny(tiny_causal) if part != "--set"])
    assert run.folder.name == "news"
    assert run.data()["report"]["rows"] == 90


def test_one_config_at_a_time(fin: Command, news: Path) -> None:
    Path("a.yaml").write_text("name: a\n")
    assert fin("check", "a.yaml", "news.csv").err.splitlines() == [
        "error: a.yaml, news.csv: one config at a time",
        "next:  Name one, or files of data.",
    ]


def test_init_for_every_task(fin: Command, news: Path) -> None:
    for name in TASKS:
        assert fin("init", f"{name}.yaml", "--task", name).code == 0
        assert load(f"{name}.yaml").task.name == name
    assert (
        fin(
            "init", "own.yaml", "--task", "classification", "--data", "two.csv", "--set", "data.label_column=topic"
        ).code
        == 0
    )
    assert load("own.yaml").task.model_dump()["labels"] == ["a", "b"]
    assert fin("init", "x.yaml", "--task", "regresion").err.splitlines()[0] == (
        "error: task.name: unknown task 'regresion'. Did you mean 'regression'?"
    )


def other_file(path: Path) -> list[str]:
    """A file with columns, codes and years of its own, and the settings that read the half of it that is later than 2000."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["headline", "mood", "year"])
        short = {"negative": "0", "neutral": "1", "positive": "2"}
        writer.writerows((row["text"], short[row["label"]], 2000 + i % 2) for i, row in enumerate(tiny_rows(30)))
    settings = ["data.text_column=headline", "data.label_column=mood", "data.where={year: '> 2000'}"]
    settings += ["data.label_map={0: negative, 1: neutral, 2: positive}"]
    return [part for one in settings for part in ("--set", one)]


def test_another_file_is_scored_with_columns_map_and_rows_of_its_own(
    fin: Command, trained: fintune.Run, tmp_path: Path
) -> None:
    path = tmp_path / "other.csv"
    flags = other_file(path)
    done = fin("evaluate", trained.folder, "--data", path, *flags, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"]["n"] == 15
    refused = fin("evaluate", trained.folder, "--data", path, *flags[:-1], "data.label_map={0: bad}")
    assert refused.err.splitlines()[0] == (
        "error: data.label_map.0: 'bad' is no label of the task. Allowed: negative, neutral, positive."
    )
    strange = fin("evaluate", trained.folder, "--data", path, "--set", "data.txt_column=headline")
    assert "data.txt_column: unknown setting. Did you mean 'text_column'?" in strange.err


def test_another_file_is_answered_and_explained_as_it_is_scored(
    fin: Command, trained: fintune.Run, tmp_path: Path
) -> None:
    path = tmp_path / "other.csv"
    flags = other_file(path)
    shown = fin("predict", trained.folder, "--file", path, *flags, "--json")
    assert shown.code == 0, shown.err
    fin("predict", trained.folder, "--file", path, *flags, "--output", tmp_path / "labels.jsonl")
    stored = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    answered = [json.loads(line)["label"] for line in shown.out.splitlines()]
    assert [row["label"] for row in stored] == answered
    assert len(answered) == 15
    words = fin("explain", trained.folder, "--file", path, *flags, "--json")
    assert [one["answer"] for one in json.loads(words.out)] == answered
    for command in ("predict", "explain"):
        strange = fin(command, trained.folder, "--file", path, "--set", "data.txt_column=headline")
        assert "data.txt_column: unknown setting. Did you mean 'text_column'?" in strange.err

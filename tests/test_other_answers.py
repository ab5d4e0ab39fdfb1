"""Answers that are no labels, from end to end on models small enough for a test: a number, a written answer, several columns."""

import json
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config.load import dump, load
from fintune.config.prepare import prepare
from fintune.data.prepare import prepare as prepare_data
from fintune.errors import ConfigError, DataError, RunError
from fintune.records import Example, Fault, Row
from fintune.runs.files import MARK
from fintune.runs.run import Run, run_of
from fintune.tasks.classification import Classification, ClassificationOptions
from tests.conftest import Command
from tests.tiny import config_for, tiny_rows

ROOT = Path(__file__).resolve().parent.parent
VALUES = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def quick(model: Path, data: Path, folder: Path, **task: Any) -> dict[str, Any]:
    config = config_for(model, data, folder)
    config["train"] |= {"epochs": 2, "learning_rate": 3e-3}
    return config | {"task": task}


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def numbers(
    request: pytest.FixtureRequest, tiny_causal: Path, tiny_seq2seq: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    folder = tmp_path_factory.mktemp("numbers")
    rows = [{"text": row["text"], "label": VALUES[row["label"]]} for row in tiny_rows(120)]
    model = tiny_causal if request.param == "causal" else tiny_seq2seq
    config = quick(model, written(folder / "rows.jsonl", rows), folder, name="regression", steps=5)
    return fintune.train(config)


def test_a_number_is_answered_scored_and_compared(numbers: Run) -> None:
    scores = numbers.scores()["test"]
    assert list(scores)[:6] == ["mae", "mse", "r2", "pearson", "spearman", "cosine"]
    assert set(numbers.baselines()) == {"mean", "tfidf", "zero-shot"}
    assert numbers.baselines()["mean"]["test"]["spearman"].value == 0
    stored = numbers.predictions("test")
    assert all(isinstance(p.answer, float) and isinstance(p.gold, float) for p in stored)
    assert all(p.answer == pytest.approx(sum(float(n) * share for n, share in p.probabilities.items())) for p in stored)
    kept = [line for line in numbers.log() if line.get("best")][-1]
    assert kept["validation_mae"] == pytest.approx(numbers.scores()["validation"]["mae"].value)
    assert [p.answer for p in fintune.load(numbers)([p.text for p in stored])] == pytest.approx(
        [p.answer for p in stored], abs=1e-4
    )


def test_commands_know_a_number(numbers: Run, tmp_path: Path, fin: Command) -> None:
    shown = fin("predict", numbers.folder, "Alvex of Oslo +", "--json")
    answer = json.loads(shown.out)
    assert isinstance(answer["value"], float)
    assert (list(answer), "confidence" in answer) == (["id", "text", "value", "probabilities"], False)
    texts = written(tmp_path / "texts.jsonl", [{"text": "Alvex of Oslo +"}, {"text": "Cyrit ="}])
    assert fin("predict", numbers.folder, "--file", texts, "--output", tmp_path / "out.csv").code == 0
    head, first, _ = (tmp_path / "out.csv").read_text().splitlines()
    assert head == "id,value,p_-1.0,p_-0.5,p_0.0,p_0.5,p_1.0,text"
    assert float(first.split(",")[1]) == pytest.approx(answer["value"], abs=1e-5)
    evaluated = fin("evaluate", numbers.folder)
    assert "MAE" in evaluated.out
    assert "per label" not in evaluated.out
    explained = json.loads(fin("explain", numbers.folder, "Alvex of Oslo +", "--json").out)
    assert explained[0]["answer"] == pytest.approx(answer["value"], abs=1e-5)
    assert fin("report", numbers.folder, "-o", tmp_path / "page.html").code == 0
    assert fin("inspect", numbers.folder).code == 0
    made = json.loads(fin("export", numbers.folder, "--format", "merged", "--json").out)
    record = made[0] if isinstance(made, list) else made
    assert (record["metric"], record["changed"]) == ("mae", 0)


@pytest.mark.parametrize("label", [0.5, "1,234.5", "12 %", "(3)", "", "nan"])
def test_numbers_that_may_be_meant_otherwise_are_refused_in_two_lines(
    label: Any, tiny_causal: Path, tmp_path: Path, fin: Command
) -> None:
    data = written(tmp_path / "rows.jsonl", [{"text": f"Alvex of Oslo {i}", "label": label} for i in range(30)])
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(quick(tiny_causal, data, tmp_path, name="regression")))
    refused = fin("train", config)
    what = "have the value '0.5': nothing to learn" if label == 0.5 else "number"
    assert (refused.code, len(refused.err.splitlines()), what in refused.err.splitlines()[0]) == (2, 2, True)


@pytest.mark.usefixtures("registries_kept")
def test_a_task_of_ones_own_writes_its_answer(tiny_model: Path, tmp_path: Path, fin: Command) -> None:
    rows = [{"text": row["text"], "label": row["text"].split()[0]} for row in tiny_rows(60)]
    data, config = written(tmp_path / "rows.jsonl", rows), tmp_path / "run.yaml"
    settings = quick(tiny_model, data, tmp_path, name="company")
    settings["model"] |= {"max_new_tokens": 8}
    settings["method"] = {"name": "scaled-blocks"}
    config.write_text(json.dumps(settings))
    code = ["--code", ROOT / "examples" / "my_task.py", "--code", ROOT / "examples" / "my_method.py"]
    trained = fin("train", config, *code)
    assert trained.code == 0, trained.err
    run = Run.open(tmp_path / "runs" / "tiny")
    assert set(run.scores()["test"]) == {"exact", "answer_loss", "perplexity"}
    stored = run.predictions("test")
    assert all(p.probabilities == {} and isinstance(p.gold, str) for p in stored)
    answer = json.loads(fin("predict", run.folder, stored[0].text, "--json", *code).out)
    assert answer == {"id": "1", "text": stored[0].text, "company": stored[0].answer}
    assert "exact match" in fin("evaluate", run.folder, *code).out
    made = json.loads(fin("export", run.folder, "--format", "merged", "--json", *code).out)
    record = made[0] if isinstance(made, list) else made
    assert (record["metric"], record["changed"], record["largest_difference"]) == ("exact", 0, 0.0)
    refused = fin("explain", run.folder, "Alvex of Oslo +", *code)
    assert (refused.code, "are written" in refused.err) == (2, True)
    assert fin("report", run.folder, "-o", tmp_path / "page.html", *code).code == 0


@pytest.fixture(scope="module")
def columns(tiny_causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("columns")
    rows = [
        {"headline": row["text"], "source": f"desk {i % 3}", "label": row["label"]}
        for i, row in enumerate(tiny_rows(120))
    ]
    prompt = "{source}: {headline}\nLabel: {answer}"
    return fintune.train(
        quick(
            tiny_causal,
            written(folder / "rows.jsonl", rows),
            folder,
            name="sentiment",
            prompt=prompt,
            shortened=["headline"],
        )
    )


def test_a_prompt_reads_several_columns(columns: Run, tmp_path: Path, fin: Command) -> None:
    stored = columns.predictions("test")
    assert list(stored[0].fields) == ["source", "headline"]
    predictor = fintune.load(columns)
    assert predictor([stored[0].fields])[0].answer == stored[0].answer
    with pytest.raises(TypeError, match="not a mapping with source, headline"):
        predictor(["Alvex +"])
    with pytest.raises(DataError, match="no 'source', which the prompt reads"):
        predictor([{"headline": "Alvex +"}])
    texts = written(tmp_path / "texts.jsonl", [dict(p.fields) for p in stored[:3]])
    done = fin("predict", columns.folder, "--file", texts, "--json")
    assert [json.loads(line)["label"] for line in done.out.splitlines()] == [p.answer for p in stored[:3]]
    lacking = written(tmp_path / "lacking.jsonl", [{"headline": "Alvex +"}])
    for output in ([], ["--output", tmp_path / "out.csv"]):
        refused = fin("predict", columns.folder, "--file", lacking, *output)
        assert (refused.code, refused.err.splitlines()[0]) == (
            2,
            "error: lacking.jsonl:1: no column 'source'; found headline",
        )
    refused = fin("predict", columns.folder, "Alvex +")
    assert (refused.code, "the prompt reads source, headline" in refused.err) == (2, True)
    assert fin("explain", columns.folder, "--file", texts).code == 0


def test_an_unknown_placeholder_is_refused_with_the_columns_there_are(
    tiny_causal: Path, rows_file: Path, tmp_path: Path
) -> None:
    config = quick(tiny_causal, rows_file, tmp_path, name="sentiment", prompt="{txet}\n{answer}")
    with pytest.raises((DataError, ConfigError), match=r"no column 'txet'; found text, label") as refused:
        fintune.train(config)
    assert "Did you mean 'text'?" in refused.value.hint
    assert "task.prompt" in refused.value.hint


def test_a_prompt_that_reads_the_answers_is_refused(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> None:
    config = quick(tiny_causal, rows_file, tmp_path, name="sentiment", prompt="{text} {label}\n{answer}")
    with pytest.raises(DataError, match=r"task.prompt: reads \{label\}, the column of the answers"):
        fintune.train(config)


def test_a_column_of_numbers_is_read_as_text(tiny_causal: Path, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "year": 2000 + i, "label": row["label"]} for i, row in enumerate(tiny_rows(30))]
    data = written(tmp_path / "rows.jsonl", rows)
    config = quick(tiny_causal, data, tmp_path, name="sentiment", prompt="{year}: {text}\n{answer}")
    prepared = prepare(load(config))
    assert {e.fields["year"] for e in prepared.splits["train"]} <= {str(2000 + i) for i in range(30)}


def test_a_number_column_of_ones_own_is_no_text_column(
    numbers: Run, columns: Run, tmp_path: Path, fin: Command
) -> None:
    texts = written(tmp_path / "texts.jsonl", [{"source": "a", "headline": "b"}])
    refused = fin("predict", columns.folder, "--file", texts, "--text-column", "headline")
    assert (refused.code, "the prompt reads source, headline" in refused.err) == (2, True)
    checked = fin("check", numbers.folder / "config.yaml", "--json")
    found = json.loads(checked.out)
    of_train = found["values"].pop("mean of train")
    assert found["values"] == {"lowest": -1.0, "mean": 0.0, "highest": 1.0}
    assert 0 < abs(of_train) < 0.2
    explained = json.loads(fin("explain", numbers.folder, "--json").out)
    errors = sorted((abs(p.answer - p.gold) for p in numbers.predictions("test")), reverse=True)
    by_id = {p.id: p for p in numbers.predictions("test")}
    assert [abs(by_id[one["id"]].answer - by_id[one["id"]].gold) for one in explained] == errors[:10]


def test_what_another_version_began_is_not_gone_on_with(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> None:
    config = load(quick(tiny_causal, rows_file, tmp_path, name="sentiment"))
    run = run_of(config)
    (run.checkpoints / "checkpoint-1").mkdir(parents=True)
    (run.folder / MARK).write_text("begun")
    run.write_text("config.yaml", dump(config))
    run.write_json("environment.json", {"packages": {"fintune": "0.2.0"}})
    run.write_json("data.json", {"ids": {}, "fingerprint": ""})
    with pytest.raises(RunError, match=r"begun by FinTune 0\.2\.0, and this is"):
        fintune.train(config, resume=True)


def test_rows_that_hold_several_examples_are_trained_scored_and_kept_apart(tiny_causal: Path, tmp_path: Path) -> None:
    class Both(Classification):
        def parse(self, row: Row) -> list[Example | Fault]:
            other = {"negative": "positive", "positive": "negative"}.get(str(row.target), "neutral")
            return [Example(row.id, row.fields, row.target), Example(row.id, {"text": f"not {row.text}"}, other)]

    rows = written(tmp_path / "rows.jsonl", tiny_rows(60))
    task = Both(ClassificationOptions(labels=["negative", "neutral", "positive"]))
    dataset = prepare_data(load(quick(tiny_causal, rows, tmp_path, name="sentiment")).data, task)
    everything = [e for part in dataset.splits.parts.values() for e in part]
    assert (len(everything), len({e.id for e in everything})) == (120, 120)
    assert sorted(everything, key=lambda e: e.id)[0].id == "rows.jsonl:1.1"
    sides = [{e.row for e in part} for part in dataset.splits.parts.values()]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 60

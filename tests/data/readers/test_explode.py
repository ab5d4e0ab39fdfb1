"""A list or an object in a column becomes rows that stay together; a cell is read by a parser and never run."""

import json
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.data.load import Gathered, gather
from fintune.data.prepare import divided
from fintune.data.readers.columns import Broken
from fintune.data.readers.explode import exploded
from fintune.data.readers.read import read as read_rows
from fintune.data.reading import reading_like
from fintune.errors import DataError
from fintune.records import text_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def gathered(data: dict[str, Any], prompt: str, **split: Any) -> Gathered:
    config = load({"data": data | {"split": split}, "task": {"name": "sentiment", "prompt": f"{prompt} {{answer}}"}})
    return gather(config.data, config.build_task())


def read(data: dict[str, Any], prompt: str) -> list[tuple[str, str, object, str]]:
    examples = gathered(data, prompt).parts["train"]
    return [(e.id, text_of(e.fields), e.target, e.row) for e in examples]


def write(path: str, *records: dict[str, Any]) -> None:
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records))


BEAT = {"text": "A beat B", "targets": [{"name": "A", "tone": "positive"}, {"name": "B", "tone": "negative"}]}
MET = {"text": "C met", "targets": [{"name": "C", "tone": "neutral"}]}


def test_a_list_of_objects_is_a_row_of_each() -> None:
    write("a.jsonl", BEAT, MET)
    data = {"path": "a.jsonl", "explode": "targets", "label_column": "targets.tone"}
    assert read(data, "{text} {targets.name}") == [
        ("a.jsonl:1.1", "A beat B\nA", "positive", "a.jsonl:1"),
        ("a.jsonl:1.2", "A beat B\nB", "negative", "a.jsonl:1"),
        ("a.jsonl:2", "C met\nC", "neutral", ""),
    ]
    only = data | {"where": {"targets.name": "B"}}
    assert [row[0] for row in read(only, "{text} {targets.name}")] == ["a.jsonl:1.2"]


def test_a_list_within_an_object_and_a_list_of_values() -> None:
    record = {"doc": {"title": "A beat B", "who": ["A", "B"]}, "label": "neutral"}
    write("a.jsonl", record, record)
    data = {"path": "a.jsonl", "text_column": "doc.title", "explode": "doc.who"}
    assert [row[1] for row in read(data | {"drop": []}, "{text} {doc.who}")][:2] == ["A beat B\nA", "A beat B\nB"]


@pytest.mark.parametrize("cell", ["{'A': 'positive', 'B': 'negative'}", '{""A"": ""positive"", ""B"": ""negative""}'])
def test_an_object_in_a_cell_is_a_row_of_each_member(cell: str) -> None:
    Path("a.csv").write_text(f'id;who;head\n1;"{cell}";A beat B\n')
    data = {"path": "a.csv", "text_column": "head", "explode": "who", "label_column": "who.value"}
    assert read(data, "{text} {who.key}") == [
        ("a.csv:2.1", "A beat B\nA", "positive", "a.csv:2"),
        ("a.csv:2.2", "A beat B\nB", "negative", "a.csv:2"),
    ]


@pytest.mark.parametrize("by", ["near-duplicates", "random", "stratified"])
def test_rows_of_a_record_are_never_parted(by: str) -> None:
    names = [(f"{a}{b}", f"{b}{a}") for a in "abcdefgh" for b in "ijklmn"]
    tones = ["positive", "negative", "neutral"]
    write(
        "a.jsonl",
        *({"text": f"{x} met {y}", "who": {x: tones[i % 3], y: tones[(i + 1) % 3]}} for i, (x, y) in enumerate(names)),
    )
    data = {"path": "a.jsonl", "explode": "who", "label_column": "who.value", "split": {"by": by}}
    config = load({"data": data, "task": {"name": "sentiment", "prompt": "{text} {who.key}: {answer}"}})
    parts, _ = divided(config.data, gather(config.data, config.build_task()))
    sides = {name: {e.row for e in part} for name, part in parts.items()}
    assert sum(map(len, parts.values())) == 96
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["validation"]
    assert min(map(len, sides.values())) > 0


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ([], "a.jsonl:1: 'targets' is empty: no entry to answer"),
        (None, "a.jsonl:1: 'targets' is null, no list or object"),
        (3, "a.jsonl:1: 'targets' is int, no list or object"),
        ("{'O'Neil': 'up'}", "a.jsonl:1: 'targets' is '{'O'Neil': 'up'}', no list or object"),
        ([{"tone": "up"}, {"tone": "positive"}], "a.jsonl:1.1: label 'up' is not one of"),
    ],
)
def test_what_cannot_be_exploded_is_refused_with_its_line(targets: Any, problem: str) -> None:
    write("a.jsonl", {"text": "x", "targets": targets})
    with pytest.raises(DataError) as error:
        read({"path": "a.jsonl", "explode": "targets", "label_column": "targets.tone"}, "{text}")
    assert problem in str(error.value)


def test_a_column_that_is_not_there_is_named() -> None:
    Path("a.csv").write_text("text,label\nx,positive\n")
    with pytest.raises(DataError, match=r"a\.csv:1: no column 'who'; found text, label"):
        read({"path": "a.csv", "explode": "who"}, "{text}")
    Path("a.txt").write_text("x@positive\n")
    with pytest.raises(DataError, match=r"data\.explode: no column 'who', phrasebank files have none"):
        read({"path": "a.txt", "format": "phrasebank", "explode": "who"}, "{text}")


@pytest.mark.parametrize(
    "cell",
    [
        "[__import__('os').getcwd()]",
        "[1, 2",
        "[" * 60 + "]" * 60,
        "[" + "-" * 90_000 + "1]",
        "[" + "not " * 20_000 + "1]",
        "[" + "9" * 200_000 + "]",
        '{"a": 1, "a": 2}',
    ],
)
def test_a_cell_is_parsed_within_bounds_and_never_run(cell: str) -> None:
    (only,) = exploded({"who": cell}, "who")
    assert isinstance(only, Broken)


@pytest.mark.parametrize(
    ("prompt", "ids"), [("{text} {targets.name}", ["a.jsonl:1.1", "a.jsonl:1.2"]), ("{text}", ["a.jsonl:1"])]
)
def test_files_to_predict_are_exploded_where_entries_are_asked_about(prompt: str, ids: list[str]) -> None:
    write("a.jsonl", BEAT, {"text": "C met", "targets": []})
    raw = {"data": {"path": "a.jsonl", "explode": "targets"}, "task": {"prompt": f"{prompt} {{answer}}"}}
    config = load(raw)
    how = reading_like(config.data, config.build_task(), "a.jsonl", need_label=False)
    assert [row.id for row in read_rows("a.jsonl", how, faults=lambda fault: None)][: len(ids)] == ids

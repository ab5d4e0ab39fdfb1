"""Votes by column and agreement become shares of labels; what is none is refused with its place."""

from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load, of_another_file
from fintune.config.prepare import prepare
from fintune.data.load import gather
from fintune.data.prepare import data_record
from fintune.errors import ConfigError, DataError
from fintune.evaluation.score import read, reading_like
from fintune.records import Example

VOTES = {"positive": "up", "negative": "down", "neutral": "flat"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text("text,up,down,flat\nrose,3,0,1\nfell,0.1,0.7,0.2\n")


def config(data: dict[str, Any], **task: Any) -> Any:
    return load({"data": data, "task": task or {"name": "sentiment"}, "train": {"objective": "candidates"}})


def examples(data: dict[str, Any], **task: Any) -> list[Example]:
    chosen = config(data, **task)
    return gather(chosen.data, chosen.build_task()).parts["train"]


def refused(data: dict[str, Any], **task: Any) -> str:
    with pytest.raises((ConfigError, DataError)) as error:
        examples(data, **task)
    return str(error.value)


def test_votes_become_shares_and_the_label_is_the_largest() -> None:
    rose, fell = examples({"path": "votes.csv", "label_columns": VOTES})
    assert (rose.target, rose.stratum, rose.shares) == (
        "positive",
        "positive",
        {"positive": 0.75, "negative": 0.0, "neutral": 0.25},
    )
    assert fell.target == "negative"
    assert fell.shares == pytest.approx({"positive": 0.1, "negative": 0.7, "neutral": 0.2})


def test_votes_may_stand_without_a_header_behind_a_path_and_with_decimal_commas() -> None:
    Path("bare.csv").write_text("rose;3;0;1\n")
    by_number = {"positive": "-3", "negative": "3", "neutral": "4"}
    (bare,) = examples({"path": "bare.csv", "text_column": "1", "label_columns": by_number})
    Path("inside.jsonl").write_text('{"text": "rose", "votes": {"up": "1,5", "down": "0", "flat": "0,5"}}\n')
    paths = {label: f"votes.{column}" for label, column in VOTES.items()}
    (inside,) = examples({"path": "inside.jsonl", "label_columns": paths, "decimal": ","})
    expected = {"positive": 0.75, "negative": 0.0, "neutral": 0.25}
    assert (bare.shares, inside.shares) == (expected, expected)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("x,1,-1,0", "votes.csv:2: votes for negative: '-1' is no number from 0"),
        ("x,1,many,0", "votes.csv:2: votes for negative: 'many' is no number from 0"),
        ("x,1,,0", "votes.csv:2: votes for negative: '' is no number from 0"),
        ("x,nan,0,inf", "votes.csv:2: votes for positive: 'nan' is no number from 0"),
        ("x,0,0,0.0", "votes.csv:2: no label has a vote"),
        ("x,2,1,2", "votes.csv:2: positive and neutral have as many votes (2)"),
    ],
)
def test_what_are_no_votes_is_refused_with_its_place(row: str, problem: str) -> None:
    Path("votes.csv").write_text(f"text,up,down,flat\n{row}\n")
    assert problem in refused({"path": "votes.csv", "label_columns": VOTES})


def test_ties_can_be_left_out() -> None:
    Path("votes.csv").write_text("text,up,down,flat\nrose,2,1,0\nmet,2,2,0\n")
    chosen = config({"path": "votes.csv", "label_columns": VOTES, "drop": ["tied-votes"]})
    gathered = gather(chosen.data, chosen.build_task())
    assert [e.text for e in gathered.parts["train"]] == ["rose"]
    assert [(d.id, d.text, d.reason) for d in gathered.dropped] == [
        ("votes.csv:3", "met", "tied-votes: positive and negative have as many votes (2)")
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"label_columns": VOTES | {"neutral": "level"}}, "votes.csv:1: no column 'level'; found text, up, down, flat"),
        ({"label_columns": {"positive": "up", "bad": "down"}}, "data.label_columns.bad: no label."),
        ({"label_columns": {"positive": "up"}}, "data.label_columns: votes for one label"),
        ({"label_columns": VOTES, "agreement_column": "up"}, "data.label_columns: are the labels already"),
        ({"label_columns": VOTES | {"positive": "text"}}, "data.text_column: 'text' is the column of the answers"),
        ({"agreement_column": "share", "label_column": "up"}, "votes.csv:1: no column 'share'"),
    ],
)
def test_settings_that_are_wrong_are_refused(data: dict[str, Any], problem: str) -> None:
    assert problem in refused({"path": "votes.csv", **data})


def test_a_task_without_labels_has_no_shares() -> None:
    assert "shares of labels, and task regression has none" in refused(
        {"path": "votes.csv", "label_columns": VOTES}, name="regression"
    )


@pytest.mark.parametrize("objective", ["tokens", "auto"])
def test_only_candidates_learn_shares(objective: str) -> None:
    raw = {"data": {"path": "votes.csv", "label_columns": VOTES}, "train": {"objective": objective}}
    with pytest.raises(ConfigError, match=f"train.objective: {objective} learns one label a text"):
        load(raw)


def test_four_files_of_agreement_are_one_set() -> None:
    files = {"All": ["rose@positive"], "75": ["rose@positive", "fell@negative"], "50": ["fell@negative", "met@neutral"]}
    for name, lines in files.items():
        Path(f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    sources = [{"path": f"{name}.txt", "agreement": a} for name, a in (("All", 1), ("75", 0.75), ("50", 0.5))]
    rose, fell, met = examples({"sources": sources, "format": "phrasebank"})
    assert (rose.id, rose.shares) == ("All.txt:1", {"negative": 0.0, "neutral": 0.0, "positive": 1.0})
    assert (fell.id, fell.shares) == ("75.txt:2", {"negative": 0.75, "neutral": 0.125, "positive": 0.125})
    assert (met.id, met.shares) == ("50.txt:2", {"negative": 0.25, "neutral": 0.5, "positive": 0.25})


def test_agreement_by_column_goes_behind_that_of_a_source() -> None:
    Path("a.csv").write_text("text,label,share\nrose,1,0.8\n")
    Path("b.csv").write_text("text,label\nfell,-1\n")
    sources = [{"path": "a.csv"}, {"path": "b.csv", "agreement": 0.6}]
    label_map = {"1": "positive", "-1": "negative"}
    rose, fell = examples({"sources": sources, "agreement_column": "share", "label_map": label_map})
    assert (rose.shares or {})["positive"] == 0.8
    assert (fell.shares or {})["negative"] == 0.6


@pytest.mark.parametrize("share", ["0.33", "1.01", "75", "-1", "most", ""])
def test_an_agreement_is_more_than_the_others_have(share: str) -> None:
    Path("a.csv").write_text(f"text,label,share\nrose,positive,{share}\n")
    data = {"path": "a.csv", "agreement_column": "share"}
    assert f"a.csv:2: agreement '{share}' is no share above 0.33 (3 labels) and up to 1" in refused(data)


def test_the_agreement_of_a_source_too() -> None:
    sources = [{"path": "votes.csv", "agreement": 0.3}]
    assert "data.sources: agreement 0.3 is no share above 0.33" in refused({"sources": sources, "label_column": "up"})


def test_plain_text_has_no_column_of_votes() -> None:
    Path("a.txt").write_text("rose@positive\nfell@negative\n")
    data = {"path": "a.txt", "format": "phrasebank"}
    assert "a.txt: data.label_columns: no column 'up', phrasebank files have none" in refused(
        data | {"label_columns": VOTES}
    )


def test_a_run_records_how_soft_its_labels_are() -> None:
    rows = [
        f"text {i} of it,{3 if i % 3 == 0 else 1},{3 if i % 3 == 1 else 0},{3 if i % 3 == 2 else 0}" for i in range(60)
    ]
    Path("votes.csv").write_text("\n".join(["text,up,down,flat", *rows]) + "\n")
    raw: Any = {
        "data": {"path": "votes.csv", "label_columns": VOTES, "split": {"by": "stratified"}},
        "train": {"objective": "candidates"},
    }
    found = data_record(prepare(load(raw)))["soft_labels"]
    assert found == {"examples": 42, "mean_share": pytest.approx((1 + 0.75 + 0.75) / 3, abs=0.01)}


def test_another_file_of_a_run_may_have_votes() -> None:
    trained = config({"path": "votes.csv", "label_column": "up"})
    data = of_another_file(trained, ["data.label_columns={positive: up, negative: down, neutral: flat}"])
    rows = read("votes.csv", reading_like(trained.data, trained.build_task(), "votes.csv", told=data))
    assert [row.target for row in rows] == ["positive", "negative"]

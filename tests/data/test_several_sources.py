"""Sources that are read differently, labels by file, wanted rows, cuts of numbers, weights, a quick try."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.config.paths import absolute
from fintune.data.load import Gathered, gather
from fintune.errors import ConfigError, DataError


def gathered(data: dict[str, Any], **task: Any) -> Gathered:
    config = load({"data": data, "task": task or {"name": "sentiment"}})
    return gather(config.data, config.build_task())


def told(data: dict[str, Any], **task: Any) -> Counter[tuple[str, object]]:
    return Counter((e.text, e.target) for e in gathered(data, **task).parts["train"])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.txt").write_text("Profit rose\nSales grew\n")
    Path("bad.txt").write_text("Loss widened\n")
    Path("a.csv").write_text(
        "text,label,year,source,share\nrose,1,2019,wire,0.5\nfell,-1,2020,mail,1\nmet,0,2021,wire,0.75\n"
    )
    Path("b.jsonl").write_text('{"body": "up a little", "tone": "bullish"}\n{"body": "down", "tone": "bearish"}\n')
    return tmp_path


def test_labels_by_file(here: Path) -> None:
    expected = {("Profit rose", "positive"): 1, ("Sales grew", "positive"): 1, ("Loss widened", "negative"): 1}
    assert told({"path": {"positive": "good.txt", "negative": "bad.txt"}}) == expected
    with pytest.raises(ConfigError, match="data: 'good' is no label of the task"):
        load({"data": {"path": {"good": "good.txt"}}})


def test_each_source_has_columns_map_label_and_weight_of_its_own(here: Path) -> None:
    sources = [
        {"path": "a.csv", "label_map": {"1": "positive", "-1": "negative", "0": "neutral"}, "weight_column": "share"},
        {
            "path": "b.jsonl",
            "text_column": "body",
            "label_column": "tone",
            "label_map": {"bullish": "positive", "bearish": "negative"},
            "weight": 3,
        },
        {"path": "good.txt", "label": "positive"},
    ]
    examples = gathered({"sources": sources}).parts["train"]
    assert [(e.id, e.target, e.weight) for e in examples] == [
        ("a.csv:2", "positive", 0.5),
        ("a.csv:3", "negative", 1.0),
        ("a.csv:4", "neutral", 0.75),
        ("b.jsonl:1", "positive", 3.0),
        ("b.jsonl:2", "negative", 3.0),
        ("good.txt:1", "positive", 1.0),
        ("good.txt:2", "positive", 1.0),
    ]


def test_a_run_finds_its_sources_from_anywhere(here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    by_file = absolute(load({"data": {"path": {"positive": "good.txt", "negative": ["bad.txt"]}}}))
    several = absolute(load({"data": {"sources": [{"path": "good.txt", "label": "positive"}]}}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert by_file.data.path == {"positive": str(here / "good.txt"), "negative": [str(here / "bad.txt")]}
    assert load(json.loads(several.model_dump_json())).data.sources[0].path == str(here / "good.txt")


@pytest.mark.parametrize(
    ("where", "years"),
    [
        ({"year": ">= 2020"}, [2020, 2021]),
        ({"year": 2019}, [2019]),
        ({"source": ["wire"], "year": "< 2021"}, [2019]),
        ({"source": "!= wire"}, [2020]),
        ({"year": "> 2030"}, []),
    ],
)
def test_rows_that_are_wanted(here: Path, where: dict[str, Any], years: list[int]) -> None:
    data = {"path": "a.csv", "label_map": {"1": "positive", "-1": "negative", "0": "neutral"}, "where": where}
    assert [2017 + int(e.id[-1]) for e in gathered(data).parts["train"]] == years


def test_a_condition_needs_its_column_and_a_bound(here: Path) -> None:
    with pytest.raises(DataError, match="no column 'month'; found text"):
        gathered({"path": "a.csv", "where": {"month": 3}})
    with pytest.raises(ConfigError, match=r"data\.where\.year: '>=' compares with nothing"):
        gathered({"path": "a.csv", "where": {"year": ">="}})


def test_numbers_are_cut_into_labels(here: Path) -> None:
    Path("c.csv").write_text('text,label\na,-0.5\nb,"0,02"\nc,0.1\nd,0.9\n')
    data = {"path": "c.csv", "label_cuts": [-0.1, 0.1], "decimal": ","}
    assert told(data) == {("a", "negative"): 1, ("b", "neutral"): 1, ("c", "neutral"): 1, ("d", "positive"): 1}
    Path("c.csv").write_text("text,label\na,high\n")
    with pytest.raises(DataError, match=r"c\.csv:2: 'high' is no number"):
        gathered(data)
    with pytest.raises(ConfigError, match="1 cuts make 2 labels, and the task has 3"):
        load({"data": {"path": "c.csv", "label_cuts": [0]}})
    with pytest.raises(ConfigError, match="do not rise"):
        load({"data": {"path": "c.csv", "label_cuts": [1, 0]}})


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "much", ""])
def test_a_weight_is_a_positive_number(here: Path, weight: str) -> None:
    Path("c.csv").write_text(f"text,label,w\na,positive,{weight}\n")
    with pytest.raises(DataError, match=rf"c\.csv:2: weight '{weight}' is no positive number"):
        gathered({"path": "c.csv", "weight_column": "w"})


def test_a_quick_try_keeps_shares(here: Path) -> None:
    rows = "".join(f"text number {i} of it,{'positive' if i % 4 else 'negative'}\n" for i in range(80))
    Path("c.csv").write_text(f"text,label\n{rows}")
    Path("d.csv").write_text(f"text,label\n{rows}".replace("number", "of the test"))
    found = gathered({"path": "c.csv", "test": "d.csv", "limit": 40})
    assert {part: Counter(e.target for e in examples) for part, examples in found.parts.items()} == {
        "train": {"positive": 15, "negative": 5},
        "test": {"positive": 15, "negative": 5},
    }

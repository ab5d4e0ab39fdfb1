"""Texts that differ in numbers alone are split all the same, and it is said; where nothing helps the cause is named."""

from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.data.prepare import data_record
from fintune.data.quality.duplicates import clusters
from fintune.errors import DataError
from fintune.training.check import examine
from tests.tiny import tiny_rows

FORMS = {
    "cash": "ATM WITHDRAWAL HIGH ST {a} REF {b}",
    "groceries": "POS PURCHASE GROCER {a} REF {b}",
    "utilities": "DIRECT DEBIT WATER CO {a} REF {b}",
}


def bookings(path: Path, forms: dict[str, str], count: int = 40) -> dict[str, Any]:
    rows = [
        f"{form.format(a=1000 + 7 * i, b=2000 + 31 * i)},{label}" for i in range(count) for label, form in forms.items()
    ]
    path.write_text("\n".join(["text,label", *rows]))
    return {"data": {"path": str(path)}, "task": {"name": "classification", "labels": list(forms)}}


def test_numbers_are_words_where_told() -> None:
    texts = [FORMS["cash"].format(a=i, b=9 * i) for i in range(1, 4)]
    assert clusters(texts).tolist() == [0, 0, 0]
    assert clusters(texts, numbers=True).tolist() == [0, 1, 2]
    assert clusters(["涨５％ 到 ６ 元", "涨７％ 到 ８ 元"]).tolist() == [0, 0], "full-width digits are masked too"


def test_texts_that_differ_in_numbers_alone_are_split_and_it_is_said(tiny_causal: Path, tmp_path: Path) -> None:
    raw = bookings(tmp_path / "a.csv", FORMS) | {"model": {"base": str(tiny_causal)}}
    prepared = prepare(load(raw))
    assert prepared.report.parts == {
        "train": dict.fromkeys(FORMS, 28), "validation": dict.fromkeys(FORMS, 4), "test": dict.fromkeys(FORMS, 8),
    }  # fmt: skip
    assert prepared.splits.fingerprint == prepare(load(raw)).splits.fingerprint
    assert prepared.report.twins_in_train == {"validation": 12, "test": 24}, "what leaks is counted"
    assert (prepared.report.near_duplicate_rows, prepared.report.near_duplicate_clusters) == (120, 3)
    told = [f for f in data_record(prepared)["report"]["findings"] if f["kind"] == "numbers-told-apart"]
    assert [(f["level"], f["count"]) for f in told] == [("warning", 36)]
    assert "data.split.by: group" in told[0]["message"]
    assert not examine(load(raw), doubt=False).severe


def test_only_the_clusters_in_the_way_are_told_apart(tiny_causal: Path, tmp_path: Path) -> None:
    raw = bookings(tmp_path / "a.csv", FORMS) | {"model": {"base": str(tiny_causal)}}
    twins = "".join(f"The board of company number {i} met in Oslo on Monday,cash\n" for i in (1, 2, 3))
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text() + "\n" + twins)
    parts = prepare(load(raw)).splits.parts
    sides = {name for name, part in parts.items() for e in part if e.text.startswith("The board")}
    assert len(sides) == 1


def test_clusters_that_let_every_label_through_are_left_alone(tiny_causal: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [*tiny_rows(90), *({"text": f"Sales rose {i} % in May", "label": "positive"} for i in range(6))]
    path.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows))
    prepared = prepare(load({"model": {"base": str(tiny_causal)}, "data": {"path": str(path)}}))
    assert prepared.report.twins_in_train == {"validation": 0, "test": 0}
    assert "numbers-told-apart" not in {f.kind for f in prepared.report.findings}


@pytest.mark.parametrize(
    ("split", "cause", "way_out"),
    [
        ({}, "its 40 rows are nearly the same texts, which stay on one side", "data.split.by: stratified"),
        ({"by": "group"}, "its 40 rows stand in too few groups", "another data.group_column"),
        ({"by": "time"}, "its 40 rows lie on one side in time", "shares of data.split"),
    ],
)
def test_where_nothing_helps_the_cause_is_named(
    tiny_causal: Path, tmp_path: Path, split: dict[str, str], cause: str, way_out: str
) -> None:
    forms = {name: f"{form}, and this is the end of a rather long booking of ours" for name, form in FORMS.items()}
    raw = bookings(tmp_path / "a.csv", forms) | {"model": {"base": str(tiny_causal)}}
    table = (tmp_path / "a.csv").read_text().splitlines()
    days = {"cash": "2024-01-01", "groceries": "2024-02-01", "utilities": "2024-03-01"}
    shown = [f'"{text}",{label},{days[label]}' for text, _, label in (row.rpartition(",") for row in table[1:])]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,day", *shown]))
    raw["data"] |= {"split": split, "group_column": "day", "date_column": "day"}
    with pytest.raises(DataError, match=f"in the (train|validation|test) part: {cause}") as caught:
        prepare(load(raw))
    assert way_out in caught.value.hint
    missing = [f.message for f in examine(load(raw), doubt=False).report.findings if f.kind == "label-missing"]
    assert all(cause in message and way_out in message for message in missing)
    assert missing


def test_too_few_rows_are_still_too_few(tiny_causal: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in tiny_rows(60)) + "odd one,odd\n")
    raw = {"model": {"base": str(tiny_causal)}, "data": {"path": str(path)}}
    task = {"name": "classification", "labels": ["negative", "neutral", "positive", "odd"]}
    with pytest.raises(DataError, match=r"no example of label 'odd' in the \w+ part$") as caught:
        prepare(load(raw | {"task": task}))
    assert caught.value.hint.startswith("Add examples of it")

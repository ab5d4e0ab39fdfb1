"""Titles and notes above a table, blanks around its names, values within records: read as people have them."""

import json
from pathlib import Path

import pytest

from fintune.data.readers.columns import Columns, value_at
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError
from fintune.records import Row


def rows(path: Path, **columns: str) -> list[Row]:
    return list(read(str(path), Reading(columns=Columns(**columns))))


@pytest.mark.parametrize("above", ["Complaints, third quarter\n\n", "Made by;the desk;;\n;;;\n", "# a, comment\n"])
def test_the_names_may_stand_below_a_title(tmp_path: Path, above: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(above + "id;text;label;\n1;Profit rose;good;\n2;Loss widened;bad;\n")
    found = rows(path)
    assert [(row.text, row.target) for row in found] == [("Profit rose", "good"), ("Loss widened", "bad")]
    assert found[0].id == f"a.csv:{above.count(chr(10)) + 2}"


def test_the_names_of_a_sheet_may_too(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (["Complaints"], [], ["id", "text", "label"], [1, "Profit rose", "good"]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    assert [(row.id, row.text) for row in rows(tmp_path / "a.xlsx")] == [("a.xlsx:4", "Profit rose")]


def test_blanks_around_names_are_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id, text , label\n1,Profit rose,good\n")
    assert [row.target for row in rows(tmp_path / "a.csv")] == ["good"]
    assert [row.target for row in rows(tmp_path / "a.csv", text=" text ", label=" label")] == ["good"], (
        "as it stands there"
    )


def test_wrong_names_are_told_with_those_of_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,label\n1,Profit rose,good\n")
    with pytest.raises(DataError, match="no column 'body'; found id, text, label"):
        rows(tmp_path / "a.csv", text="body")


def test_a_path_leads_into_a_record(tmp_path: Path) -> None:
    record = {"doc": {"text": "Profit rose"}, "info": [{"score": 0.4}], "a.b": "c"}
    assert [value_at(record, path) for path in ("doc.text", "info.0.score", "a.b", "doc.none", "info.1.score", "x")] == [
        "Profit rose", 0.4, "c", None, None, None,
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n" + json.dumps({"doc": {}, "info": []}) + "\n")
    assert [(row.text, row.target) for row in rows(path, text="doc.text", label="info.0.score")] == [
        ("Profit rose", "0.4"),
        ("", None),
    ]
    with pytest.raises(DataError, match=r"no column 'text\.doc'; found doc, info, a\.b"):
        rows(path, text="text.doc", label="info.0.score")


def test_rows_may_lie_within_the_answer_of_a_service(tmp_path: Path) -> None:
    answer = {"code": 0, "data": {"total": 1, "list": [{"text": "Profit rose", "label": "good"}]}}
    (tmp_path / "a.json").write_text(json.dumps(answer))
    assert [row.text for row in rows(tmp_path / "a.json")] == ["Profit rose"]

"""What a spreadsheet would run is written so that it does not, and read back as it was, in files of predictions alone."""

import csv
from pathlib import Path

import pytest

from fintune.data.readers.formats import Columns
from fintune.data.readers.formulas import is_predictions, neutral, restored
from fintune.data.readers.read import Reading, read
from fintune.inference.files import AnswerColumns, write_predictions
from fintune.records import Prediction
from tests.made_records import prediction

FORMULAS = [
    "=cmd|'/C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "  =1+1", "\t=1", "\r=1", "\n=1", "\tx", "\xa0=1", "＝1+1", "＋1", "－1+1",
    "＠A1", "-profit fell", "- 12 %", "+", "--1", "'=1", "''=1", "' =1",
]  # fmt: skip
PLAIN = [
    "-1.5",
    "+3",
    "-1e-3",
    "-12 %",
    "-1,234.50",
    "+.5",
    "Profit = 3",
    "'quoted'",
    "'",
    "",
    "O'Neil",
    "12",
    "利润 -3 %",
    "a@b",
]


@pytest.mark.parametrize("cell", FORMULAS, ids=ascii)
def test_a_formula_is_neutral_and_comes_back(cell: str) -> None:
    assert (neutral(cell), restored(neutral(cell))) == (f"'{cell}", cell)


@pytest.mark.parametrize("cell", PLAIN, ids=ascii)
def test_what_is_none_stays(cell: str) -> None:
    assert (neutral(cell), restored(cell)) == (cell, cell)


def test_only_the_columns_of_predictions_make_a_file_ours() -> None:
    assert is_predictions(["id", "label", "confidence", "p_up", "p_=x", "text"])
    assert is_predictions(["id", "label", "confidence", "p_up", "text", "kept", "text_input"])
    for other in (
        ["text", "label"],
        ["id", "label", "confidence", "text"],
        ["id", "label", "confidence", "p_up", "note", "text"],
        ["id", "label", "confidence", "text", "mine"],
        ["id", "text", "p_up"],
    ):
        assert not is_predictions(other)


def _file(folder: Path) -> tuple[Path, list[Prediction]]:
    labels = ["=up", "-1", "@down"]
    shares = dict.fromkeys(labels, 1 / 3)
    texts = [cell.strip() for cell in FORMULAS + PLAIN if cell.strip()]
    made = [prediction(f"=in.csv:{i}", text, "", labels[i % 3], shares) for i, text in enumerate(texts)]
    write_predictions(folder / "out.csv", made, AnswerColumns(noun="label", choices=labels, confidence=True))
    return folder / "out.csv", made


def test_no_cell_of_predictions_is_a_formula_and_we_read_what_was_meant(tmp_path: Path) -> None:
    path, made = _file(tmp_path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "label", "confidence", "p_=up", "p_-1", "p_@down", "text"]
    assert [
        cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+@＝＋－＠") and cell not in {"+3", "+.5"}
    ] == []
    assert {row[1] for row in rows[1:]} == {"'=up", "-1", "'@down"}
    for columns, first in ((Columns("text", "label"), 0), (Columns("7", "2"), 1)):
        found = list(read(str(path), Reading(columns=columns)))[first:]
        assert [(row.text, row.target) for row in found] == [(p.text, p.answer) for p in made]


def test_an_apostrophe_of_others_is_left(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text("text,label\n'=1+1,a\n")
    assert next(iter(read(str(tmp_path / "theirs.csv")))).text == "'=1+1"


def test_a_workbook_made_of_them_is_read_alike(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, made = _file(tmp_path)
    book = openpyxl.Workbook()
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            book.active.append(row)
    book.save(tmp_path / "out.xlsx")
    found = list(read(str(tmp_path / "out.xlsx")))
    assert [(row.text, row.target) for row in found] == [(p.text, p.answer) for p in made]


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("id,label,confidence,p_up,p_down,text", True),
        ("id,value,p_-1.0,p_0.0,p_1.0,text", True),
        ("id,company,text", True),
        ("id,label,text,date", False),
        ("id,label,confidence,up,text", False),
        ("id,text", False),
        ("text,label", False),
    ],
)
def test_files_of_predictions_of_every_kind_are_known_by_their_columns(header: str, ours: bool) -> None:
    assert is_predictions(header.split(",")) == ours

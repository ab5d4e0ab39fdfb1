"""Texts from arguments, files or standard input; predictions as csv and jsonl that read back as they were."""

import codecs
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fintune.data.readers.formats import Columns
from fintune.data.readers.read import Reading
from fintune.errors import DataError
from fintune.inference.files import AnswerColumns, json_line, read_texts, write_predictions
from fintune.records import Prediction
from tests.made_records import prediction

PREDICTIONS = [
    prediction("in.csv:2", 'Rose, "a lot"\nthen fell 涨', " up", "up", {"up": 0.75, "down": 0.25}),
    prediction("in.csv:4", "flat", "sideways", None, {"up": 0.5, "down": 0.5}, "down"),
]


COLUMNS = AnswerColumns(noun="label", choices=["up", "down"], confidence=True)


def line(one: Prediction) -> str:
    return json_line(one, COLUMNS)


def rows_of(texts: list[str], file: str | None, reading: Reading | None = None) -> tuple[list[str], list[str]]:
    read = read_texts(["text"], texts, file, reading)
    return [row.id for row in read], [row.text for row in read]


class Piped(io.TextIOWrapper):
    """A standard input that is no terminal, or is said to be one."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_arguments_are_numbered_and_blank_ones_refused() -> None:
    assert rows_of([" one ", "two"], None) == (["1", "2"], ["one", "two"])
    with pytest.raises(DataError, match="argument 2: nothing to read in it"):
        rows_of([" one ", "  ", "two"], None)


def test_standard_input_gives_a_text_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped("\ufeffone\n\n zwölf\r\n".encode()))
    assert rows_of([], None) == (["1", "3"], ["one", "zwölf"])


@pytest.mark.parametrize(
    ("content", "what"), [(b"one\ntw\xe9\n", "not UTF-8: byte 0xe9"), (b"one\ntw\0o\n", "holds NUL")]
)
def test_standard_input_that_is_no_text_is_named_by_line(
    monkeypatch: pytest.MonkeyPatch, content: bytes, what: str
) -> None:
    monkeypatch.setattr("sys.stdin", Piped(content))
    with pytest.raises(DataError, match=f"standard input:2: {what}"):
        rows_of([], None)


def test_arguments_come_before_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped(b"piped\n"))
    assert rows_of(["given"], None) == (["1"], ["given"])


@pytest.mark.parametrize(
    ("name", "content", "ids", "texts"),
    [
        ("a.csv", "id,headline\n7,one\n8,\n9,two\n", ["a.csv:2", "a.csv:4"], ["one", "two"]),
        ("a.jsonl", '{"headline": "one"}\n\n{"headline": "two"}\n', ["a.jsonl:1", "a.jsonl:3"], ["one", "two"]),
        ("a.txt", "one\n \ntwo\n", ["a.txt:1", "a.txt:3"], ["one", "two"]),
    ],
)
def test_files_need_no_label(tmp_path: Path, name: str, content: str, ids: list[str], texts: list[str]) -> None:
    (tmp_path / name).write_text(content)
    assert rows_of([], str(tmp_path / name), Reading(columns=Columns("headline", need_label=False))) == (ids, texts)


def test_a_missing_text_column_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("headline\nx\n")
    with pytest.raises(DataError, match=r"a\.csv:1: no column 'text'; found headline"):
        rows_of([], str(tmp_path / "a.csv"), Reading(columns=Columns("text", need_label=False)))


def test_nothing_to_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("text\n")
    with pytest.raises(DataError, match=r"a\.csv: no texts"):
        rows_of([], str(tmp_path / "a.csv"), Reading(columns=Columns("text", need_label=False)))
    monkeypatch.setattr("sys.stdin", Piped(b"\n"))
    with pytest.raises(DataError, match=r"^standard input: no texts$"):
        rows_of([], None)


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped(b"never read\n", terminal=True))
    with pytest.raises(DataError, match=r"^no texts given$") as caught:
        rows_of([], None)
    assert "fintune predict RUN" in caught.value.hint


def test_arguments_and_a_file_at_once_are_refused() -> None:
    with pytest.raises(DataError, match="--file: texts were given as arguments too"):
        rows_of(["one"], "a.csv")


def test_json_lines_hold_what_people_ask_for() -> None:
    lines = [json.loads(line) for line in map(line, PREDICTIONS)]
    assert lines == [
        {
            "id": "in.csv:2", "text": 'Rose, "a lot"\nthen fell 涨', "label": "up", "confidence": 0.75,
            "probabilities": {"up": 0.75, "down": 0.25},
        },
        {
            "id": "in.csv:4", "text": "flat", "label": None, "confidence": 0.0,
            "probabilities": {"up": 0.5, "down": 0.5},
        },
    ]  # fmt: skip
    assert "涨" in line(PREDICTIONS[0]), "text stays readable"


def test_a_jsonl_file_is_the_same_lines(tmp_path: Path) -> None:
    write_predictions(tmp_path / "new" / "out.jsonl", PREDICTIONS, COLUMNS)
    assert (tmp_path / "new" / "out.jsonl").read_text(encoding="utf-8") == "".join(map(line, PREDICTIONS))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.jsonl"]


def test_csv_reads_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "out.csv", PREDICTIONS, COLUMNS)
    assert (tmp_path / "out.csv").read_bytes().startswith(codecs.BOM_UTF8), "for Excel: it holds more than ASCII"
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "label", "confidence", "p_up", "p_down", "text"],
        ["in.csv:2", "up", "0.750000", "0.750000", "0.250000", 'Rose, "a lot"\nthen fell 涨'],
        ["in.csv:4", "", "0.000000", "0.500000", "0.500000", "flat"],
    ]


def test_a_csv_of_ascii_has_no_mark(tmp_path: Path) -> None:
    write_predictions(tmp_path / "out.csv", PREDICTIONS[1:], COLUMNS)
    assert (tmp_path / "out.csv").read_text("ascii").startswith("id,label")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_sheet_holds_the_columns_of_csv(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    odd = replace(PREDICTIONS[1], fields={"text": "=1+1\x07"})
    write_predictions(tmp_path / "out.xlsx", [PREDICTIONS[0], odd], COLUMNS)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("id", "label", "confidence", "p_up", "p_down", "text")
    assert rows[1] == ("in.csv:2", "up", 0.75, 0.75, 0.25, 'Rose, "a lot"\nthen fell 涨')
    assert rows[2][-1] == "'=1+1", "neither a formula nor a control character"
    read = read_texts(["text"], [], str(tmp_path / "out.xlsx"))
    assert [row.text for row in read] == ['Rose, "a lot"\nthen fell 涨', "=1+1"]


def test_a_sheet_opens_whatever_stands_in_texts_and_names(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    columns = replace(COLUMNS, kept=["na\x07me"])
    odd = replace(PREDICTIONS[1], fields={"text": "flat\ufffe\uffff"})
    write_predictions(tmp_path / "out.xlsx", [odd], columns)
    rows = list(openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True))
    assert rows[0][-1] == "name"
    assert "flat" in rows[1]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old\n" * 100)
    write_predictions(tmp_path / "out.jsonl", PREDICTIONS[:1], COLUMNS)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_parquet_holds_the_columns_of_csv(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_predictions(tmp_path / "out.parquet", PREDICTIONS, COLUMNS)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["id", "label", "confidence", "p_up", "p_down", "text"]
    assert table.to_pylist()[1] == {
        "id": "in.csv:4", "label": "", "confidence": 0.0, "p_up": 0.5, "p_down": 0.5, "text": "flat",
    }  # fmt: skip

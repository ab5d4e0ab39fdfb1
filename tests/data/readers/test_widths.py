"""A row of another width is never read at the wrong places, whether columns have names or numbers."""

from pathlib import Path

import pytest

from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.records import Fault


def both(path: Path, columns: Columns) -> tuple[list[tuple[str, str | None]], list[str]]:
    faults: list[Fault] = []
    rows = [(row.text, row.target) for row in read(str(path), Reading(columns=columns), faults=faults.append)]
    return rows, [f"{f.where}: {f.problem}" for f in faults]


TRAILING = "id;message;tag;\n1;made up rise;Bullish;\n2;made up fall ; and more;Bearish;\n3;made up hold;NULL;\n"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (Columns("2", "-2"), "a.csv:3: 5 fields where most rows have 4"),
        (Columns("2", "3"), "a.csv:3: 5 fields where most rows have 4"),
        (Columns("message", "tag"), "a.csv:3: 5 fields where the header has 4"),
    ],
)
def test_a_delimiter_too_many_is_named_by_row(tmp_path: Path, columns: Columns, told: str) -> None:
    (tmp_path / "a.csv").write_text(TRAILING)
    rows, faults = both(tmp_path / "a.csv", columns)
    assert rows[-2:] == [("made up rise", "Bullish"), ("made up hold", "NULL")]
    assert faults == [told]


@pytest.mark.parametrize("text", ["1", "-2"])
def test_a_field_too_few_or_too_many_without_a_header(tmp_path: Path, text: str) -> None:
    content = [f"made up {i},up" for i in range(9)]
    content[3], content[6] = "cut short", "rose, a lot,up"
    (tmp_path / "a.csv").write_text("\n".join(content))
    rows, faults = both(tmp_path / "a.csv", Columns(text, "-1"))
    assert [row[0] for row in rows] == [f"made up {i}" for i in range(9) if i not in (3, 6)]
    assert faults == ["a.csv:4: 1 fields where most rows have 2", "a.csv:7: 3 fields where most rows have 2"]


def test_the_last_column_of_a_sheet_is_the_same_in_every_row(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["made up a", "up"], ["made up b"], [None, "up"], ["made up c", "down"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    rows, faults = both(tmp_path / "a.xlsx", Columns("1", "-1"))
    assert rows == [("made up a", "up"), ("made up b", None), ("", "up"), ("made up c", "down")]
    assert faults == []


def test_a_row_beyond_the_last_column_of_a_sheet_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr("fintune.data.readers.tables._BATCH", 2)
    book = openpyxl.Workbook()
    for row in (["made up a", "up"], ["made up b", "down"], ["made up c", "up", "a note"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert both(tmp_path / "a.xlsx", Columns("1", "-1"))[1] == ["a.xlsx:3: 3 fields where the first record has 2"]
    assert both(tmp_path / "a.xlsx", Columns("1", "2"))[0][2] == ("made up c", "up")


def test_lists_of_another_length_are_named_where_columns_are_counted_from_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('["made up a", "up"]\n["made up b"]\n["made up c", "down", "x"]\n["d", "up"]\n')
    rows, faults = both(tmp_path / "a.jsonl", Columns("1", "-1"))
    assert rows == [("made up a", "up"), ("d", "up")]
    assert faults == [f"a.jsonl:{i}: {n} fields where the first record has 2" for i, n in ((2, 1), (3, 3))]
    assert both(tmp_path / "a.jsonl", Columns("1", "2"))[1] == ["a.jsonl:2: no column '2'; found 1"]

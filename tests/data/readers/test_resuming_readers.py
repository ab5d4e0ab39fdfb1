"""Behind a broken record reading goes on where it can, and says so where it cannot."""

from pathlib import Path

import pytest

from fintune.data.readers.read import Reading, read
from fintune.records import Fault


def both(path: Path, reading: Reading | None = None) -> tuple[list[str], list[tuple[str, str]]]:
    faults: list[Fault] = []
    texts = [row.text for row in read(str(path), reading, faults=faults.append)]
    return texts, [(f.where.partition(":")[2], f.kind) for f in faults]


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    rows = [f"text {i},up" for i in range(90)]
    rows[50] = '"text 50,up'
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))
    texts, faults = both(tmp_path / "a.csv")
    assert texts == [f"text {i}" for i in range(90) if i != 50]
    assert faults == [("52", "unreadable")]


def test_every_stray_quote_costs_its_own_row(tmp_path: Path) -> None:
    rows = [f'"text {i}"x,up' if i % 7 == 3 else f"text {i},up" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows, '"last']))
    texts, faults = both(tmp_path / "a.csv")
    assert texts == [f"text {i}" for i in range(60) if i % 7 != 3]
    assert [where for where, _ in faults] == [str(i + 2) for i in range(60) if i % 7 == 3] + ["62"]


@pytest.mark.parametrize("at", [0, 4, 9])
@pytest.mark.parametrize("broken", ['{"text": "b" - "c"}', '{"text": "b"', "[ x", "x"])
def test_behind_a_broken_element_an_array_is_unread_and_says_so(tmp_path: Path, at: int, broken: str) -> None:
    elements = [f'{{"text": "t{i}", "label": "up"}}' for i in range(10)]
    elements[at] = broken
    (tmp_path / "a.json").write_text("[" + ",\n".join(elements) + "]")
    texts, faults = both(tmp_path / "a.json")
    assert texts == [f"t{i}" for i in range(at)]
    assert [kind for _, kind in faults] == ["unread"]


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a", "label": "up"} {"text": "b", "label": "up"}]',
        '[{"text": "a", "label": "up"}] more',
        '[{"text": "a", "label": "up"},',
    ],
)
def test_an_array_that_is_not_one_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    texts, faults = both(tmp_path / "a.json")
    assert texts == ["a"]
    assert [kind for _, kind in faults] == ["unread"]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_an_array_is_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('[\n  {"text": "a",\n   "label": "up"},\n  {"text": "b", "label": "up"}\n]\n')
    assert both(tmp_path / name) == (["a", "b"], [])


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_lists_a_line_are_json_lines(tmp_path: Path, name: str) -> None:
    from fintune.data.readers.columns import Columns

    (tmp_path / name).write_text('["a", "up"]\n["b", "down"]\n')
    assert both(tmp_path / name, Reading(columns=Columns("1", "2"))) == (["a", "b"], [])


def test_a_header_above_columns_by_number(tmp_path: Path) -> None:
    from fintune.data.readers.columns import Columns

    (tmp_path / "a.csv").write_text("label,what\nup,rose\n")
    reading = Reading(header=True, columns=Columns("-1", "1"))
    assert [(r.text, r.target) for r in read(str(tmp_path / "a.csv"), reading)] == [("rose", "up")]


def test_label_maps_meet_numbers_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,0.0\ny,1\n")
    mapped = Reading(label_map={"0": "down", "1": "up"})
    assert [r.target for r in read(str(tmp_path / "a.csv"), mapped)] == ["down", "up"]
    (tmp_path / "a.jsonl").write_text('{"text": "x", "label": true}\n')
    assert [r.target for r in read(str(tmp_path / "a.jsonl"), Reading(label_map={"true": "up"}))] == ["up"]

"""JSON as programs write it: on one line, by id, by columns, within an object; what tells nothing is named, with the way out."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fintune.data.readers.columns import LONGEST_RECORD, Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError
from fintune.records import Fault

ROWS = [
    {"text": f'made up "{i}" [{{é涨\n', "label": ("up", "down")[i % 2], "day": f"2024-01-0{1 + i}"} for i in range(7)
]
EXPECTED = [(row["text"].strip(), row["label"]) for row in ROWS]
BY_NUMBER = Columns("1", "2")


def both(
    path: Path | str, columns: Columns | None = None
) -> tuple[list[tuple[str, str | None]], list[tuple[str, str]]]:
    faults: list[Fault] = []
    reading = Reading(columns=columns or Columns())
    rows = [(row.text, row.target) for row in read(str(path), reading, faults=faults.append)]
    return rows, [(f.where, f.problem) for f in faults]


SHAPES: dict[str, tuple[Any, Columns]] = {
    "an array": (ROWS, Columns()),
    "lists": ([list(row.values()) for row in ROWS], BY_NUMBER),
    "an object that holds an array": ({"version": 1, "about": {"by": ["us"]}, "tags": ["a"], "data": ROWS}, Columns()),
    "lists in an object": ({"data": [list(row.values()) for row in ROWS]}, BY_NUMBER),
    "records by id": ({f"id {i}": row for i, row in enumerate(ROWS)}, Columns()),
    "records by number": ({str(i): row for i, row in enumerate(ROWS)}, Columns(date="day")),
    "columns": ({name: [row[name] for row in ROWS] for name in ("day", "text", "label")}, Columns(date="day")),
    "columns of objects": (
        {n: {str(i): r[n] for i, r in enumerate(ROWS)} for n in ("text", "day", "label")},
        Columns(),
    ),
    "split": ({"columns": list(ROWS[0]), "index": [*range(7)], "data": [list(r.values()) for r in ROWS]}, Columns()),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_shape_is_read_on_one_line_and_on_many(tmp_path: Path, shape: str, indent: int | None, suffix: str) -> None:
    content, columns = SHAPES[shape]
    path = tmp_path / f"a.{suffix}"
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    assert both(path, columns) == (EXPECTED, [])


@pytest.mark.parametrize("orient", ["records", "index", "columns", "split", "table"])
def test_what_pandas_writes_is_read(tmp_path: Path, orient: Any) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(ROWS).to_json(tmp_path / "a.json", orient=orient)
    assert both(tmp_path / "a.json") == (EXPECTED, [])


def test_objects_over_several_lines_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("\n".join(json.dumps(row, indent=2) for row in ROWS))
    assert both(tmp_path / "a.json") == (EXPECTED, [])
    ids = [row.id for row in read(str(tmp_path / "a.json"))]
    assert ids[:2] == ["a.json:1", "a.json:6"]


def test_a_member_is_named_behind_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": ROWS, "test": ROWS[:2], "n": 7, "more": {"x": ROWS[3]}}))
    with pytest.raises(DataError) as caught:
        both(path)
    assert caught.value.message == "a.json: one JSON object with several arrays of rows: train, test"
    assert caught.value.hint == "Name the one to read behind the path, as in a.json#train."
    assert both(f"{path}#test") == (EXPECTED[:2], [])
    assert both(f"{path}#more") == (EXPECTED[3:4], [])
    with pytest.raises(DataError, match=r"a\.json: no rows under 'tset'") as caught:
        both(f"{path}#tset")
    assert caught.value.hint == "Did you mean 'test'?"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": {"b": 1}, "c": 2}, "a.json: one JSON object without rows; its keys: a, c"),
        (
            {"headline": ["x"], "mood": ["up"]},
            "a.json:1: no columns 'text' (data.text_column), 'label' (data.label_column); found headline, mood",
        ),
        (
            {"headline": {"0": "x"}, "mood": {"0": "up"}},
            "a.json:1: no columns 'text' (data.text_column), 'label' (data.label_column); found headline, mood",
        ),
        ({"text": ["x"], "mood": ["up"]}, "a.json:1: no column 'label'; found text, mood"),
    ],
)
def test_what_holds_no_rows_is_said(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        both(tmp_path / "a.json")
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ('{"text": ["a", "b"], "label": ["up"]}', "1[1]", "column 'label' has other rows than 'text'"),
        ('{"text": ["a"], "label": ["up", "up"]}', "1[1]", "column 'label' has more rows than 'text'"),
        ('{"text": {"0": "a"}, "label": {"1": "up"}}', "1[0]", "column 'label' has other rows than 'text'"),
        ('{"data": [{"text": "a", "label": "up"}, {"text": ', "1[1]", "Expecting value"),
        ('{"data": [{"text": "a", "label": "up"},\n "b" "c"]}', "2[2]", "no comma between two elements"),
        ('{"1": {"text": "a", "label": "up"}, 2: {}}', "1[1]", "no key and colon before a value"),
    ],
)
def test_damage_is_told_where_it_is_and_the_rest_is_unread(
    tmp_path: Path, content: str, where: str, problem: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    _, faults = both(tmp_path / "a.json")
    told = [fault for fault in faults if "unread" in fault[1]]
    assert told == [(f"a.json:{where}", f"not JSON: {problem}; everything from here on is unread")]


def test_a_record_of_another_width_than_columns_says_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"columns": ["text", "label"], "data": [["a"], ["b", "up"]]}')
    assert both(tmp_path / "a.json") == ([("b", "up")], [("a.json:1[0]", "1 values where columns has 2")])


@pytest.mark.parametrize("shape", ["array", "wrapped", "columns"])
def test_one_line_of_any_length_takes_little_memory(tmp_path: Path, shape: str) -> None:
    text = "made up and long " * 60
    rows = [{"text": f"{text}{i}", "label": "up"} for i in range(6000)]
    content: Any = {"array": rows, "wrapped": {"v": 1, "data": rows}}.get(
        shape, {name: [row[name] for row in rows] for name in ("text", "label")}
    )
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    assert path.stat().st_size > 6 * LONGEST_RECORD
    count = f"from tests.data.readers.test_json_shapes import stream; print(stream({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    rows_read, peak = map(int, done.stdout.split())
    assert rows_read == 6000
    assert peak < path.stat().st_size // 2


def stream(path: str) -> str:
    """Rows of a file, and the bytes by which reading it raised the peak of memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in read(path))
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{count} {unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}"


def test_damage_in_a_long_file_is_told_where_it_is(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "made up " * 9 + str(i), "label": "up"}) for i in range(30_000)]
    lines[9] = '{"text": "b" - "c"}'
    (tmp_path / "a.json").write_text("[" + ",\n".join(lines) + "]")
    rows, faults = both(tmp_path / "a.json")
    assert len(rows) == 9
    assert faults == [
        ("a.json:10[9]", "not JSON: Expecting ',' delimiter; everything from here on is unread"),
    ]


@pytest.mark.parametrize("bomb", ['{"a":', "[", '{"data":[', '[{"text":', '{"text":{"a":'])
def test_depth_is_bounded(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "a.json").write_text(bomb * 600_000)
    with pytest.raises(DataError, match=r"a\.json:1"):
        list(read(str(tmp_path / "a.json")))


def test_the_limit_belongs_to_an_element(tmp_path: Path) -> None:
    long = [{"text": "x" * length, "label": "up"} for length in (LONGEST_RECORD, 5 * LONGEST_RECORD)]
    (tmp_path / "a.json").write_text(json.dumps([*ROWS[:3], *long, *ROWS[3:]]))
    found, faults = both(tmp_path / "a.json")
    assert found == EXPECTED
    assert faults == [(f"a.json:1[{place}]", "longer than 1,000,000 characters") for place in (3, 4)]


@pytest.mark.parametrize("form", ["[%s]", "%s", '{"data": [%s]}', "[\n%s\n]"])
def test_a_key_that_stands_twice_is_no_record(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(form % '{"text": "rose", "label": "up", "label": "down"}')
    rows, ((_, problem),) = both(path)
    assert rows == []
    assert problem == "the key 'label' stands in it twice"


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("data", '{"data": [{"text": "a", "label": "up"}], "data": [{"text": "b", "label": "up"}]}'),
        ("columns", '{"columns": ["text", "label"], "columns": ["label", "text"], "data": [["a", "up"]]}'),
        ("text", '{"text": ["a"], "label": ["up"], "text": ["b"]}'),
    ],
)
def test_a_table_that_stands_twice_is_refused(tmp_path: Path, key: str, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=f"the key '{key}' stands in it twice"):
        both(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl"])
def test_a_part_that_a_file_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("".join(f"{json.dumps({'text': f'a {i}', 'label': 'up'})}\n" for i in range(3)))
    with pytest.raises(DataError, match="'spring'") as caught:
        list(read(str(tmp_path / f"{name}#spring")))
    assert caught.value.hint == "Leave out '#spring'."

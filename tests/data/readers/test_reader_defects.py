"""Every defect of a data file is a DataError that names file and line and says what to do next."""

from pathlib import Path

import pytest

from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError
from fintune.records import Row


def rows(path: Path, encoding: str = "utf-8") -> list[Row]:
    return list(read(str(path), Reading(encoding=encoding)))


BROKEN = {
    "empty": ("a.csv", b"", "the file is empty"),
    "only blanks": ("a.csv", b" \n \n", "the file is empty"),
    "binary": ("a.csv", b"text,label\n\0\0", "looks binary"),
    "no column": ("a.csv", b"headline,label\nx,y\n", r"a\.csv:1: no column 'text'; found headline, label"),
    "too many fields": ("a.csv", b"text,label\na,b\nc,d,e\n", r"a\.csv:3: 3 fields where the header has 2"),
    "too few fields": ("a.csv", b"label,text\na,b\nc\n", r"a\.csv:3: 1 fields where the header has 2"),
    "open quote": ("a.csv", b'text,label\na,b\n"c,d\n', r"a\.csv:3: not readable as csv"),
    "huge field": (
        "a.csv",
        b"text,label\n" + b"x" * 1_100_000 + b",up\n",
        r"a\.csv:2: longer than 1,000,000 characters",
    ),
    "quote amid a field": ("a.csv", b'text,label\n"a"b,up\n', r"a\.csv:2: not readable as csv: ',' expected after"),
    "record of two lines": (
        "a.csv",
        b'text,label\n"a\nb",up\n"c\nd",up,x\n',
        r"a\.csv:4: 3 fields where the header has 2",
    ),
    "wrong encoding in a header": ("a.csv", b"te\xe4t,label\nx,y\n", r"a\.csv:1: no column 'text'"),
    "wrong encoding in a quoted field": ("a.csv", b'text,label\n"a\n\xe4",b\n', r"a\.csv:2: not utf-8: byte 0xe4"),
    "cut within a character": (
        "a.jsonl",
        b'{"text": "a", "label": "b"}\n{"text": "\xc3',
        r"a\.jsonl:2: not JSON: Unterminated string",
    ),
    "NUL escaped": ("a.jsonl", b'\n{"text": "a\\u0000", "label": "b"}\n', r"a\.jsonl:2: holds NUL"),
    "late NUL": ("a.csv", b"text,label\n" + b"a,b\n" * 3000 + b"c\0,d\n", r"a\.csv:3002: "),
    "wrong encoding": ("a.csv", b"text,label\na,b\n\xe4,b\n", r"a\.csv:3: not utf-8: byte 0xe4"),
    "wrong encoding, bare returns": ("a.csv", b"text,label\ra,b\r\xe4,b\r", r"a\.csv:3: not utf-8: byte 0xe4"),
    "wrong encoding later": (
        "a.csv",
        b"text,label\n" + b"a,b\n" * 9000 + b"\xe4,b\n",
        r"a\.csv:9002: not utf-8: byte 0xe4",
    ),
    "not json": ("a.jsonl", b'{"text": "a", "label": "b"}\n{"text": \n', r"a\.jsonl:2: not JSON"),
    "not an object": ("a.jsonl", b'"a"\n', r"a\.jsonl:1: found str, not a JSON object"),
    "a list": ("a.jsonl", b'["a", "b"]\n', r"a\.jsonl:1: no columns 'text' .*; found 1, 2"),
    "deep json": ("a.jsonl", b'{"text":' + b"[" * 100_000 + b"\n", r"a\.jsonl:1: not JSON"),
    "no key": ("a.jsonl", b'{"text": "a", "lable": "b"}\n', r"a\.jsonl:1: no column 'label'"),
    "text is a number": ("a.jsonl", b'{"text": 3, "label": "b"}\n', r"a\.jsonl:1: 'text' is int, not text"),
    "no at sign": ("a.txt", b"fine@positive\nbroken\n", r"a\.txt:2: no '@'"),
    "unknown": ("a.dat", b"something\n", "cannot tell the format"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_defect_names_file_and_line(tmp_path: Path, case: str) -> None:
    name, content, message = BROKEN[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        rows(tmp_path / name)
    assert caught.value.hint


def test_the_near_column_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("texts,label\nx,y\n")
    with pytest.raises(DataError) as caught:
        rows(tmp_path / "a.csv")
    assert caught.value.hint == (
        "Did you mean 'texts'? Set data.text_column to the right one; without a header line, to its number."
    )


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "near.csv").touch()
    with pytest.raises(DataError, match="no such file") as caught:
        rows(tmp_path / "far.csv")
    assert "near.csv" in caught.value.hint
    with pytest.raises(DataError, match="not a plain file"):
        rows(tmp_path)
    with pytest.raises(DataError, match="no built-in set") as caught:
        list(read("builtin:nothing"))
    assert "builtin:headlines" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-9", "", "hex", "../utf-8"])
def test_an_unknown_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    with pytest.raises(DataError) as caught:
        rows(tmp_path / "a.csv", encoding=encoding)
    assert caught.value.message == f"data.encoding: unknown encoding '{encoding}'"
    assert caught.value.hint == "Try utf-8, latin-1 or gb18030."


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", "headline,label\nx,y\n", "column"),
        ("a.jsonl", '{"headline": "x", "label": "y"}\n', "column"),
        ("a.jsonl", '{"headline": "x"\n', "unusable"),
        ("no column.csv", "text,text,label\nx,x,y\n", "unusable"),
    ],
)
def test_only_a_missing_column_is_an_error_of_that_kind(tmp_path: Path, name: str, content: str, kind: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        rows(tmp_path / name)
    assert caught.value.kind == kind


def test_all_missing_columns_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("headline,mood\nProfit rose,good\n")
    with pytest.raises(DataError) as failure:
        list(read(str(tmp_path / "a.csv"), Reading(columns=Columns(date="day", group="firm"))))
    assert failure.value.message == (
        "a.csv:1: no columns 'text' (data.text_column), 'label' (data.label_column), 'day' (data.date_column), "
        "'firm' (data.group_column); found headline, mood"
    )
    assert failure.value.hint == "Set each to the right one; without a header line, to its number."

"""Every format read as people write it; every defect a DataError that names file and line."""

from pathlib import Path

import pytest

from fintune.data.formats import Columns
from fintune.data.readers import read
from fintune.errors import DataError
from fintune.records import Row


def rows(path: Path, **options: object) -> list[Row]:
    return list(read(str(path), **options))  # type: ignore[arg-type]


def test_csv_with_bom_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufefftext,label,extra\r\n"Rose, ""a lot""\r\nthen fell",up,1\r\n Flat ,same,2\r\n'.encode())
    assert rows(path) == [Row("a.csv:2", 'Rose, "a lot"\r\nthen fell', "up"), Row("a.csv:4", "Flat", "same")]


def test_jsonl_skips_blank_lines_and_reads_numbers_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "涨", "label": 1}\n\n{"text": "x", "label": null}\n', encoding="utf-8")
    assert rows(path) == [Row("a.jsonl:1", "涨", "1"), Row("a.jsonl:3", "x", None)]


def test_phrasebank_is_recognised_by_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_bytes("Käse rose @ 5 .@positive\r\nB .@neutral\r\n".encode("latin-1"))
    assert rows(path) == [
        Row("sentences.txt:1", "Käse rose @ 5 .", "positive"),
        Row("sentences.txt:2", "B .", "neutral"),
    ]


def test_plain_lines_for_predicting(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n")
    assert [row.text for row in rows(path, columns=Columns(need_label=False))] == ["one", "two"]


def test_other_columns_and_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("标题,类\n上涨,好\n".encode("gb18030"))
    assert rows(path, encoding="gb18030", columns=Columns("标题", "类")) == [Row("a.csv:2", "上涨", "好")]


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
        b"text,label\n" + b"x" * 200_000 + b",up\n",
        r"a\.csv:2: not readable as csv: field larger",
    ),
    "late NUL": ("a.csv", b"text,label\n" + b"a,b\n" * 3000 + b"c\0,d\n", r"a\.csv:3002: "),
    "wrong encoding": ("a.csv", b"text,label\na,b\n\xe4,b\n", r"a\.csv:3: not utf-8-sig: byte 0xe4"),
    "wrong encoding later": (
        "a.csv",
        b"text,label\n" + b"a,b\n" * 9000 + b"\xe4,b\n",
        r"a\.csv:9002: not utf-8-sig: byte 0xe4",
    ),
    "not json": ("a.jsonl", b'{"text": "a", "label": "b"}\n{"text": \n', r"a\.jsonl:2: not JSON"),
    "not an object": ("a.jsonl", b'["a", "b"]\n', r"a\.jsonl:1: found list, not a JSON object"),
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
    assert caught.value.hint == "Did you mean 'texts'? Set data.text_column to the right one."


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "near.csv").touch()
    with pytest.raises(DataError, match="no such file") as caught:
        rows(tmp_path / "far.csv")
    assert "near.csv" in caught.value.hint
    with pytest.raises(DataError, match="is a folder"):
        rows(tmp_path)
    with pytest.raises(DataError, match="no built-in set") as caught:
        list(read("builtin:nothing"))
    assert "builtin:headlines" in caught.value.hint


def test_an_unknown_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    with pytest.raises(DataError, match="unknown encoding 'utf-9'"):
        rows(tmp_path / "a.csv", encoding="utf-9")

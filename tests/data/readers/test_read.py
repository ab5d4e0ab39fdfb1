"""Every format read as people write it."""

from pathlib import Path

import pytest

from fintune.data.readers.formats import Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError
from fintune.records import Row
from fintune.runtime.files import sha256
from tests.made_records import row


def rows(path: Path, **options: object) -> list[Row]:
    return list(read(str(path), Reading(**options)))  # type: ignore[arg-type]


def test_csv_with_bom_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufefftext,label,extra\r\n"Rose, ""a lot""\r\nthen fell",up,1\r\n Flat ,same,2\r\n'.encode())
    assert rows(path) == [row("a.csv:2", 'Rose, "a lot"\r\nthen fell', "up"), row("a.csv:4", "Flat", "same")]


def test_jsonl_skips_blank_lines_and_reads_numbers_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "涨", "label": 1}\n\n{"text": "x", "label": null}\n', encoding="utf-8")
    assert rows(path) == [row("a.jsonl:1", "涨", "1"), row("a.jsonl:3", "x", None)]


def test_phrasebank_is_recognized_by_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_bytes("Käse rose @ 5 .@positive\r\nB .@neutral\r\n".encode("latin-1"))
    assert rows(path) == [
        row("sentences.txt:1", "Käse rose @ 5 .", "positive"),
        row("sentences.txt:2", "B .", "neutral"),
    ]


def test_plain_lines_for_predicting(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n")
    assert [row.text for row in rows(path, columns=Columns(need_label=False))] == ["one", "two"]


def test_other_columns_and_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("标题,类\n上涨,好\n".encode("gb18030"))
    assert rows(path, encoding="gb18030", columns=Columns("标题", "类")) == [row("a.csv:2", "上涨", "好")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end(tmp_path: Path, end: str) -> None:
    files = {
        "a.csv": ["text,label", "one,up", "two,down"],
        "a.jsonl": ["", '{"text": "one", "label": "up"}', '{"text": "two", "label": "down"}'],
        "a.txt": ["one@up", "two@down"],
    }
    for name, lines in files.items():
        (tmp_path / name).write_bytes(end.join([*lines, ""]).encode())
        first = len(lines) - 1
        expected = [row(f"{name}:{first}", "one", "up"), row(f"{name}:{first + 1}", "two", "down")]
        assert rows(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '\ufeff{"text": "涨\u2028x", "label": "up"}\n'),
        ("a.NDJSON", '{"text": "涨\u2028x", "label": " up "}\n'),
        ("a.CSV", "label,text\nup,涨\u2028x\n"),
    ],
)
def test_the_suffix_decides_and_only_line_ends_end_lines(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert [(row.text, row.target) for row in rows(tmp_path / name)] == [("涨\u2028x", "up")]


def test_a_format_that_is_named_goes_before_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('{"text": "one, two", "label": "up"}\n')
    assert rows(tmp_path / "a.csv", format="jsonl") == [row("a.csv:1", "one, two", "up")]
    with pytest.raises(DataError, match=r"a\.csv: plain lines carry no label"):
        rows(tmp_path / "a.csv", format="lines")


def test_phrasebank_splits_at_the_last_at_sign_and_skips_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a@b @up \n\n  \nc@down\n")
    assert rows(tmp_path / "a.txt") == [row("a.txt:1", "a@b", "up"), row("a.txt:4", "c", "down")]


def test_a_file_without_records_gives_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    assert rows(tmp_path / "a.csv") == []


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_blank_lines_in_a_csv_do_not_shift_the_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,b\n\n\nc,d\n")
    assert [row.id for row in rows(tmp_path / "a.csv")] == ["a.csv:2", "a.csv:5"]


def test_a_converted_phrasebank_is_read_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("涨 .@positive\n", encoding="utf-8")
    assert rows(tmp_path / "a.txt") == [row("a.txt:1", "涨 .", "positive")]


def test_lines_are_no_phrasebank_because_one_ends_like_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("write to press@acme\nprofit rose\n涨\n", encoding="utf-8")
    found = rows(tmp_path / "a.txt", columns=Columns(need_label=False))
    assert [row.text for row in found] == ["write to press@acme", "profit rose", "涨"]


def test_utf_16_when_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n涨,up\n", encoding="utf-16")
    assert rows(tmp_path / "a.csv", encoding="utf-16") == [row("a.csv:2", "涨", "up")]


def test_a_column_that_stands_there_twice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,text,label\na,b,c\n")
    with pytest.raises(DataError, match=r"a\.csv:1: column 'text' stands there twice"):
        rows(tmp_path / "a.csv")

"""The encoding of a file is found, and nobody's UTF-8 is given up for one bad line."""

from pathlib import Path

import pytest

from fintune.data.readers.encodings import find_encoding
from fintune.data.readers.read import Reading, read
from fintune.records import Fault

GERMAN = "Der Überschuß stieg kräftig, für März erwartet man Zuwächse im Geschäft.\n"
CHINESE = "公司前三季度净利润同比增长百分之二十，拟每十股派发现金红利三元。\n"


@pytest.mark.parametrize(
    "text",
    [
        "año São Paulo Møller ñandú",
        "L'été dernier, le bénéfice a reculé – déçu",
        "Käse",
        "Liikevoitto, myös Sepän yhtiö päättyi",
    ],
)
@pytest.mark.parametrize("times", [1, 40])
def test_latin_script_is_western_where_nothing_speaks_against_it(tmp_path: Path, text: str, times: int) -> None:
    (tmp_path / "a.csv").write_bytes(("text,label\n" + f'"{text}",up\n' * times).encode("cp1252"))
    assert {row.text for row in read(str(tmp_path / "a.csv"))} == {text}


def test_polish_is_told_from_it(tmp_path: Path) -> None:
    text = "Zysk spółki wzrósł o pięć procent, źródła twierdzą że będzie więcej"
    (tmp_path / "a.csv").write_bytes(f'text,label\n"{text}",up\n'.encode("cp1250"))
    assert next(read(str(tmp_path / "a.csv"))).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "cp1252"),
        (GERMAN, "utf-16"),
        (CHINESE, "utf-8"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
    ],
)
@pytest.mark.parametrize("lines", [2, 400])
def test_texts_come_out_as_they_were_written(tmp_path: Path, text: str, encoding: str, lines: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("text,label\n" + f'"{text.strip()}",up\n' * lines).encode(encoding))
    assert {row.text for row in read(str(path))} == {text.strip()}


def test_one_bad_line_does_not_change_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + "Käse,up\n".encode() * 5 + b"K\xe4se,up\n" + "Käse,up\n".encode())
    faults: list[Fault] = []
    rows = list(read(str(path), faults=faults.append))
    assert [row.text for row in rows] == ["Käse"] * 6
    assert [(f.where, f.problem) for f in faults] == [("a.csv:7", "not utf-8: byte 0xe4")]


def test_what_the_config_says_stands(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nKäse,up\n".encode())
    assert next(read(str(tmp_path / "a.csv"), Reading(encoding="latin-1"))).text == "KÃ¤se"


def test_a_declared_latin_1_stands_where_the_file_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("Käse".encode("latin-1"))
    assert find_encoding(tmp_path / "a", "latin-1") == "latin-1"
    (tmp_path / "b").write_text("Käse", encoding="utf-8")
    assert find_encoding(tmp_path / "b", "latin-1") == "utf-8-sig"


def test_a_line_longer_than_what_is_looked_at_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" + ",".join(['["涨停", "up"]'] * 200_000) + "]", encoding="utf-8")
    assert find_encoding(tmp_path / "a.json", "utf-8-sig") == "utf-8-sig"

"""A folder for each label, one text in each of its files."""

from pathlib import Path

import pytest

from fintune.data.guess.guess import guess_files
from fintune.data.readers.read import read
from fintune.errors import DataError


def test_each_file_is_a_text_and_its_folder_the_label(tmp_path: Path) -> None:
    for label, name, content in (
        ("good", "b.txt", b"Profit rose\nin May."),
        ("good", "a.txt", "Umsatz wächst".encode("cp1252")),
        ("bad", "a.txt", "Loss".encode("utf-16")),
    ):
        (tmp_path / "mail" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mail" / label / name).write_bytes(content)
    (tmp_path / "mail" / "notes.txt").write_text("not one of them")
    assert [(row.id, row.text, row.target) for row in read(str(tmp_path / "mail"))] == [
        ("mail:bad/a.txt", "Loss", "bad"),
        ("mail:good/a.txt", "Umsatz wächst", "good"),
        ("mail:good/b.txt", "Profit rose\nin May.", "good"),
    ]


def test_it_is_found(tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / "mail" / ("spam" if i % 2 else "order")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.txt").write_text(f"Please sell all {i} shares of Marlow plc")
    guess = guess_files([str(tmp_path / "mail")])
    assert guess.settings["data"] == {"path": str(tmp_path / "mail"), "text_column": "text", "label_column": "label"}
    assert guess.settings["task"]["labels"] == ["order", "spam"]


def test_a_folder_without_such_is_none(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    with pytest.raises(DataError, match="not a plain file"):
        list(read(str(tmp_path / "mail")))

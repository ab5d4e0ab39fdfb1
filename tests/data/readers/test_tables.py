"""Parquet, Excel and saved data sets: streamed, named by row, and never unpacked without end."""

import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import BrokenEnvironment, DataError
from fintune.records import Fault, Row
from fintune.runtime.install import with_extra
from tests.made_records import row

pytest.importorskip("openpyxl")
pytest.importorskip("datasets")


def rows(path: Path | str, **columns: Any) -> list[Row]:
    return list(read(str(path), Reading(columns=Columns(**columns))))


def book(path: Path, *sheets: list[list[Any]]) -> Path:
    import openpyxl

    made = openpyxl.Workbook()
    for i, content in enumerate(sheets):
        sheet = made.active if i == 0 else made.create_sheet(f"Second{i}")
        for cells in content:
            sheet.append(cells)
    made.save(path)
    return path


def parquet(path: Path, **columns: list[Any]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


def test_excel_cells_become_text(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        [["id", "text", "label", "day"], [1, "rose", 2, date(2024, 3, 1)], [], [2, None, 0.0, None]],
    )
    found = rows(path, date="day")
    assert found == [row("a.xlsx:2", "rose", "2", date="2024-03-01 00:00:00"), row("a.xlsx:4", "", "0")]


def test_a_sheet_is_named(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["x"]], [["text", "label"], ["rose", "up"]])
    assert rows(f"{path}#Second1") == [row("a.xlsx:2", "rose", "up")]
    with pytest.raises(DataError, match=r"a\.xlsx: no sheet 'Secnd1'") as caught:
        rows(f"{path}#Secnd1")
    assert "Second1" in caught.value.hint
    with pytest.raises(DataError, match=r"a\.xlsx:1: no columns 'text' .*; found x"):
        rows(path)


def test_a_sheet_without_header(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["up", 7, "rose"], ["down", 8, "fell"]])
    assert [(r.text, r.target) for r in rows(path, text="-1", label="1")] == [("rose", "up"), ("fell", "down")]


def test_a_number_is_no_text(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], [7, "up"], ["rose", "up"]])
    faults: list[Fault] = []
    assert [r.text for r in read(str(path), faults=faults.append)] == ["rose"]
    assert [(f.where, f.problem, f.kind) for f in faults] == [("a.xlsx:2", "'text' is int, not text", "non-text")]


def test_an_excel_error_is_no_text_and_other_files_say_what_to_do(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["#N/A", "up"], ["rose", "up"]])
    assert [r.text for r in rows(path)] == ["", "rose"]
    (tmp_path / "b.xlsx").write_text("text,label\nrose,up\n")
    with pytest.raises(DataError, match=r"b\.xlsx: not readable as xlsx") as caught:
        rows(tmp_path / "b.xlsx")
    assert "data.format: csv" in caught.value.hint
    (tmp_path / "c.xls").write_bytes(b"x")
    with pytest.raises(DataError, match="the old Excel format"):
        rows(tmp_path / "c.xls")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/x.xml", "w") as file,
    ):
        for _ in range(80):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"a\.xlsx: would unpack to 0\.1 GB"):
        rows(tmp_path / "a.xlsx")


def test_parquet_reads_the_wanted_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", text=["rose", None, "fell"], label=[1, 0, None], junk=[b"x", b"y", b"z"])
    assert rows(path) == [
        row("a.parquet:1", "rose", "1"),
        row("a.parquet:2", "", "0"),
        row("a.parquet:3", "fell", None),
    ]
    with pytest.raises(DataError, match=r"no column 'headline'; found text, label, junk"):
        rows(path, text="headline")


def test_parquet_in_many_batches_stays_in_order(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", text=[str(i) for i in range(2500)], label=["up"] * 2500)
    assert [r.text for r in rows(path)] == [str(i) for i in range(2500)]


def saved(folder: Path) -> Path:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["down", "up"])})
    part = datasets.Dataset.from_dict({"text": ["rose", "fell"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": part, "test": part.select([1])}).save_to_disk(folder)
    return folder


def test_a_saved_set_gives_names_for_numbers(tmp_path: Path) -> None:
    folder = saved(tmp_path / "set")
    assert rows(f"{folder}#train") == [row("set:1", "rose", "up"), row("set:2", "fell", "down")]
    with pytest.raises(DataError, match="set: holds train, test") as caught:
        rows(folder)
    assert "#train" in caught.value.hint
    with pytest.raises(DataError, match="set: no split 'tset'") as caught:
        rows(f"{folder}#tset")
    assert "Did you mean 'test'?" in caught.value.hint


def test_a_hub_set_is_asked_for_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[Any] = []

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        asked.append((arguments, options))
        return datasets.load_from_disk(str(saved(tmp_path / "set")))

    monkeypatch.setattr("fintune.data.readers.hub_datasets.hub_answers", lambda: True)
    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = rows("hf:owner/name/all@refs/convert/parquet#test")
    assert asked == [(("owner/name", "all"), {"revision": "refs/convert/parquet"})]
    assert found == [row("hf:owner/name/all@refs/convert/parquet:1", "fell", "down")]


def test_a_hub_that_cannot_be_reached_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    def fail(*_: Any, **__: Any) -> None:
        assert constants.HF_HUB_OFFLINE  # else it asks again for half a minute
        raise ConnectionError("Couldn't reach the hub\nat all")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("fintune.data.readers.hub_datasets.hub_answers", lambda: False)
    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(DataError, match=r"hf:owner/name@abc: cannot be loaded: Couldn't reach the hub$") as caught:
        rows("hf:owner/name@abc#train")
    assert "save_to_disk" in caught.value.hint
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx"])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("fintune.data.readers.read.find_spec", lambda package: None)
    with pytest.raises(BrokenEnvironment) as caught:
        rows(tmp_path / name)
    assert caught.value.hint == with_extra("formats")

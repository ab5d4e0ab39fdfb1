"""Packed files are read as what they hold, within bounds, and nothing is written."""

import bz2
import gzip
import lzma
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from fintune.data.readers import packed
from fintune.data.readers.read import read
from fintune.errors import BrokenEnvironment, DataError

CSV = b'text,label\nProfit rose,good\n"Loss\nwidened",bad\n'
JSON = b'[{"text": "Profit rose", "label": "good"}, {"text": "Loss\\nwidened", "label": "bad"}]'


def zipped(content: bytes, name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
            archive.writestr("__MACOSX/._" + name, b"not data")

    return write


WAYS: dict[str, Callable[[Path], object]] = {
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV)),
    "a.csv.bz2": lambda path: path.write_bytes(bz2.compress(CSV)),
    "a.csv.xz": lambda path: path.write_bytes(lzma.compress(CSV)),
    "a.json.gz": lambda path: path.write_bytes(gzip.compress(JSON)),
    "a.zip": zipped(CSV, "inside.csv"),
    "b.zip": zipped("text,label\nGewinn fällt,bad\n".encode("cp1252"), "inside.csv"),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_is_packed_is_read(tmp_path: Path, name: str) -> None:
    WAYS[name](tmp_path / name)
    found = [(row.text, row.target) for row in read(str(tmp_path / name))]
    assert found == (
        [("Gewinn fällt", "bad")] if name == "b.zip" else [("Profit rose", "good"), ("Loss\nwidened", "bad")]
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_damaged_and_crowded_archives_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV * 1000)[:-20])
    (tmp_path / "b.csv.gz").write_bytes(b"no gzip at all")
    (tmp_path / "c.zip").write_bytes(b"no zip at all")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    for name, problem in (
        ("a.csv.gz", "cannot be unpacked"),
        ("b.csv.gz", "cannot be unpacked"),
        ("c.zip", "not readable as zip"),
        ("d.zip", "holds a.csv, b.csv"),
    ):
        with pytest.raises(DataError, match=problem):
            list(read(str(tmp_path / name)))


def packs_zst() -> ModuleType:
    if sys.version_info >= (3, 14):
        return import_module("compression.zstd")
    module: ModuleType = pytest.importorskip("backports.zstd")
    return module


def test_zst_is_read_frame_by_frame_and_a_damaged_one_named(tmp_path: Path) -> None:
    zstd, path = packs_zst(), tmp_path / "a.csv.zst"
    path.write_bytes(zstd.compress(CSV[:30]) + zstd.compress(CSV[30:]))
    assert [(row.text, row.target) for row in read(str(path))] == [("Profit rose", "good"), ("Loss\nwidened", "bad")]
    whole = zstd.compress(CSV * 1000)
    for content in (whole[:-20], b"no zst at all"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be unpacked"):
            list(read(str(path)))


def test_zst_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.csv.zst").write_bytes(b"x")
    with pytest.raises(BrokenEnvironment, match=r"a\.csv\.zst: reading \.zst needs backports\.zstd") as error:
        list(read(str(tmp_path / "a.csv.zst")))
    assert "[zst]" in error.value.hint


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_SMALL", 1000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text,label\n" + b"a" * 900_000 + b",good\n"))
    with pytest.raises(DataError, match="unpacks to more than"):
        list(read(str(tmp_path / "a.csv.gz")))


def test_what_is_no_text_is_to_be_unpacked_first(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(DataError, match="a packed parquet file"):
        list(read(str(tmp_path / "a.parquet.gz")))

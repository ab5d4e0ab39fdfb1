"""Globs, several files and parts of files become sources whose names are never alike."""

import os
from pathlib import Path

import pytest

from fintune.data.readers.sources import expand
from fintune.errors import DataError
from fintune.runtime.files import sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/x.csv", "a/x.csv", "a/y.csv", "z.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_glob_stands_in_order_of_names(folder: Path) -> None:
    assert [s.name for s in expand(str(folder / "**" / "*.csv"))] == ["a/x.csv", "y.csv", "b/x.csv"]
    assert [s.name for s in expand([str(folder / "z.jsonl"), str(folder / "a" / "*.csv")])] == [
        "z.jsonl",
        "x.csv",
        "y.csv",
    ]


def test_a_file_that_looks_like_a_glob_or_a_part_is_that_file(folder: Path) -> None:
    for name in ("odd[1].csv", "c#.csv"):
        (folder / name).touch()
        assert [(s.name, s.part) for s in expand(str(folder / name))] == [(name, "")]
    assert [(s.name, s.part) for s in expand(str(folder / "z.jsonl#part"))] == [("z.jsonl", "part")]


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert expand("~/z.jsonl")[0].path == folder / "z.jsonl"
    assert [s.name for s in expand("~/a/*.csv")] == ["x.csv", "y.csv"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "names no file"),
        ("", "is empty"),
        ("{folder}/*.parquet", "matches no file"),
        ("{folder}/a", "not a plain file"),
        (["{folder}/z.jsonl", "{folder}/a/../z.jsonl"], "named twice"),
        ("hf:owner/name", "the revision is not pinned"),
        ("hf:name", "not of the form hf:owner/name@revision#split"),
        ("builtin:none", "no built-in set"),
    ],
)
def test_what_is_not_there_is_named(folder: Path, paths: str | list[str], message: str) -> None:
    named = paths.format(folder=folder) if isinstance(paths, str) else [p.format(folder=folder) for p in paths]
    with pytest.raises(DataError, match=message) as caught:
        expand(named)
    assert caught.value.hint


def test_a_folder_has_a_digest_of_names_and_contents(folder: Path) -> None:
    before = sha256(folder)
    os.rename(folder / "z.jsonl", folder / "y.jsonl")
    renamed = sha256(folder)
    (folder / "y.jsonl").write_text("other")
    assert len({before, renamed, sha256(folder)}) == 3

"""What is loaded is what is digested, and read again when it changed."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from fintune.errors import ModelError
from fintune.models import check_reference, digests, load_model
from fintune.models.digests import file_sha256, folder_sha256, in_full
from fintune.models.references import INDEX, sha256_at_hand
from fintune.runs.inspect_path import inspect
from fintune.runtime.files import sha256
from tests.families import save


@pytest.fixture
def sharded(tiny_causal: Path, tmp_path: Path) -> Path:
    """A model in two files, with an index."""
    folder = Path(shutil.copytree(tiny_causal, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def _renamed(folder: Path, name: str) -> None:
    index = (folder / INDEX).read_text().replace("model-2.safetensors", name.replace("\\", "\\\\"))
    (folder / INDEX).write_text(index)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "{above}/outside.safetensors",
        "inner/outside.safetensors",
        "..\\outside.safetensors",
        "outside.bin",
    ],
)
def test_an_index_names_plain_files_of_its_folder_only(name: str, sharded: Path) -> None:
    above = sharded.parent
    (sharded / "inner").mkdir()
    for place in (above, sharded / "inner"):
        shutil.copy(sharded / "model-2.safetensors", place / "outside.safetensors")
    _renamed(sharded, name.format(above=above))
    for read in (load_model, lambda folder: check_reference(folder, "cpu"), inspect):
        with pytest.raises(ModelError, match=r"names '.*outside\.\w+', which is no \.safetensors file of that folder"):
            read(str(sharded))


def test_a_link_out_of_the_folder_is_digested_by_what_it_leads_to(sharded: Path, tmp_path: Path) -> None:
    """As a hub's cache has them."""
    blob = tmp_path / "blob"
    shutil.move(sharded / "model-2.safetensors", blob)
    (sharded / "model-2.safetensors").symlink_to(blob)
    loaded = load_model(str(sharded), device="cpu")
    assert loaded.sha256 == inspect(sharded)["sha256"] == folder_sha256(sharded)
    assert inspect(sharded)["files"] == loaded.files
    tensors = load_file(blob)
    tensors["model.norm.weight"] += 1
    save_file(tensors, blob, metadata={"format": "pt"})
    assert load_model(str(sharded), device="cpu").sha256 != loaded.sha256


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "special_tokens_map.json", "merges.txt", "generation_config.json"]
)
def test_every_file_that_is_read_is_in_the_digest(name: str, sharded: Path) -> None:
    before = folder_sha256(sharded)
    with (sharded / name).open("a") as file:
        file.write(" ")
    assert folder_sha256(sharded) != before
    (sharded / "notes.txt").write_text("mine")
    assert folder_sha256(sharded) != before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "../other"}, "would have the weights taken from elsewhere"),
        ("config.json", {"transformers_weights": "../outside.safetensors"}, "names its weights itself"),
    ],
)
def test_what_leads_transformers_to_other_weights_is_refused(
    name: str, content: dict[str, Any], message: str, sharded: Path
) -> None:
    place = sharded / name
    before = json.loads(place.read_text()) if place.exists() else {}
    place.write_text(json.dumps(before | content))
    with pytest.raises(ModelError, match=message):
        load_model(str(sharded))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Files whose bytes were read, with a cache of this test's own."""
    files: list[Path] = []
    monkeypatch.setattr(digests, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(digests, "sha256", lambda file: files.append(file) or f"{len(files):064}")
    return files


def _large(place: Path, *, age: int = 10) -> Path:
    place.write_bytes(b"a" * 2**20)
    past = time.time_ns() - age * 10**9
    os.utime(place, ns=(past, past))
    return place


def test_a_large_file_is_read_once_until_it_changes(
    read: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _large(tmp_path / "weights")
    monkeypatch.setattr(digests, "_SETTLED", 0)
    assert file_sha256(place) == file_sha256(place)
    assert len(read) == 1
    with in_full():
        file_sha256(place)
    assert len(read) == 2
    times = place.stat()
    with place.open("r+b") as file:
        file.write(b"b")
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))  # as one does who would hide it
    file_sha256(place)
    assert len(read) == 3


def test_a_load_reads_weights_once_and_the_next_command_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An embedded model is compared with its manifest and digested for its run: one reading, also of files just made."""
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path))
    monkeypatch.setattr(digests, "_SMALL", 0)
    read: list[str] = []
    monkeypatch.setattr(digests, "sha256", lambda file: read.append(file.name) or sha256(file))
    folder = save("gemma3", tmp_path / "gemma-3-270m")
    manifest = {file.name: {"sha256": sha256(file)} for file in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    files = sorted([*manifest, "manifest.json"])
    for settled, expected in ((10**18, files), (0, files), (0, [])):  # just made, settled, and the next command
        monkeypatch.setattr(digests, "_SETTLED", settled)
        read.clear()
        load_model("embedded", device="cpu")
        assert sorted(read) == expected
    with in_full():
        assert sha256_at_hand("embedded") == sha256_at_hand("embedded") == folder_sha256(folder)
    assert sorted(read) == files


def test_a_file_that_has_just_changed_is_not_remembered(read: list[Path], tmp_path: Path) -> None:
    place = _large(tmp_path / "weights", age=0)
    file_sha256(place)
    file_sha256(place)
    assert len(read) == 2

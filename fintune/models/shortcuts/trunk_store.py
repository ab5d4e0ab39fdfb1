"""A memory-mapped file of hidden states, filled batch by batch in one fixed order, so that a killed filling goes on.

The key names everything that decides a bit of the content: model, depth, precision, token sequences, and the kernels they were
computed with. Who reads the file finds what a run without it would have computed.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock, Timeout

from fintune.errors import RunError
from fintune.runtime.cache import cache_folder
from fintune.runtime.files import write_atomically

Precision = Literal["float32", "bfloat16"]
_NAME = re.compile(r"[0-9a-f]{24}")
_STATES, _DONE, _KEY = "states.bin", "done.json", "key.json"


class Store:
    """States of token sequences, one after the other; `shape` is (tokens, width)."""

    def __init__(
        self, facts: Mapping[str, object], shape: tuple[int, int], precision: Precision, root: Path | None = None
    ) -> None:
        self._facts, self._shape = dict(facts) | {"precision": precision}, shape
        self._dtype: torch.dtype = getattr(torch, precision)
        digest = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()
        self._root = root or trunk_folder()
        self.folder = self._root / digest[:24]
        self.size = shape[0] * shape[1] * self._dtype.itemsize
        """Bytes on disk."""

    def open(self, *, limit: int) -> torch.Tensor:
        """Return the states as a tensor that is the file. Makes room for it; raises RunError when it passes the limit or the disk."""
        path = self.folder / _STATES
        if not path.is_file() or path.stat().st_size != self.size:
            self._make_room(limit)
            self._create(path)
        os.utime(self.folder)
        return torch.from_file(str(path), shared=True, size=self.size // self._dtype.itemsize, dtype=self._dtype).view(
            self._shape
        )

    def _create(self, path: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        write_atomically(self.folder / _KEY, json.dumps(self._facts, indent=1))
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(
                    file.fileno(), 0, self.size
                )  # a disk that fills later would end the process (SIGBUS)
            else:
                file.truncate(self.size)

    def done(self) -> int:
        """Count the batches that are whole in the file."""
        try:
            return int(json.loads((self.folder / _DONE).read_text())["batches"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def mark(self, batches: int) -> None:
        """Say that so many batches are whole, once they are on the disk."""
        with (self.folder / _STATES).open("rb") as file:
            os.fsync(file.fileno())
        write_atomically(self.folder / _DONE, json.dumps({"batches": batches}))

    def _make_room(self, limit: int) -> None:
        if self.size > limit:
            raise RunError(
                f"train.trunk_cache_gb: the hidden states take {self.size / 1e9:.1f} GB, the limit is {limit / 1e9:.1f}",
                hint="Raise it, store them with train.trunk_cache_dtype: bfloat16, or set train.trunk_cache: false.",
            )
        others = sorted(_folders(self._root), key=lambda folder: folder.stat().st_mtime)
        for folder in others:
            if sum(map(_bytes, _folders(self._root))) + self.size <= limit:
                break
            _remove(folder)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._root).free
        if self.size > free:
            raise RunError(
                f"{self._root}: the hidden states take {self.size / 1e9:.1f} GB, {free / 1e9:.1f} are free",
                hint="Make room, set FINTUNE_CACHE to another disk, or set train.trunk_cache: false.",
            )


def trunk_folder() -> Path:
    """Return the folder of hidden states: they can be turned back into text, so only this user may read them."""
    return Path(os.environ.get("FINTUNE_TRUNK_CACHE") or cache_folder() / "trunk")


def sequences_sha256(sequences: Sequence[Sequence[int]]) -> str:
    """Hash token sequences in their order."""
    digest = hashlib.sha256()
    for ids in sequences:
        digest.update(json.dumps(list(ids)).encode())
    return digest.hexdigest()


def _folders(root: Path) -> list[Path]:
    """List those of this module alone: whatever else lies there is somebody's."""
    return [path for path in root.iterdir() if (path / _KEY).is_file() and _NAME.fullmatch(path.name)]


def _remove(folder: Path) -> None:
    """Remove a file of states, unless somebody is filling it."""
    try:
        with FileLock(folder.with_suffix(".lock"), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        return


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

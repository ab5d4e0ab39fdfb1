"""Digests of a model's files: of all that is read from its folder, each remembered in the user's cache while its size and times stay.

Example:
    folder_sha256(Path("Llama-2-7b-hf"))
    # '5a1f...'
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import NamedTuple

from fintune.runtime.cache import cache_folder
from fintune.runtime.files import sha256, write_atomically
from fintune.runtime.untrusted import parse_object, read_text

_READ = (".safetensors", ".json", ".model", ".jinja", ".tiktoken", ".spm", ".codes")
_READ_NAMES = ("merges.txt", "vocab.txt", "dict.txt")
"""Files of a model's folder that transformers may read"""
_CACHE = "digests.json"
_SMALL = 2**20
"""Bytes: a smaller file is read each time"""
_SETTLED = 2 * 10**9
"""Nanoseconds: a file changed more recently may change again within one tick of the clock that dates it"""
_MOST = 2000
_full: ContextVar[bool] = ContextVar("full", default=False)
_block: "ContextVar[dict[tuple[int, ...], str] | None]" = ContextVar("block", default=None)
"""Digests that were computed since the outermost `read_once` began, by what the file was then."""


class _State(NamedTuple):
    """What says that a file is the one that was read, wherever it has been moved."""

    size: int
    modified: int
    changed: int
    inode: int


def folder_sha256(folder: Path) -> str:
    """One digest over the files that decide what a model answers: weights, settings, tokenizer."""
    return joined(files_sha256(folder))


def files_sha256(folder: Path) -> dict[str, str]:
    """Return the digest of each of these files by its name; of a link, that of what it leads to."""
    read = (path for path in folder.iterdir() if path.suffix in _READ or path.name in _READ_NAMES)
    files = sorted(path for path in read if path.is_file())
    return {path.name: file_sha256(path) for path in files}


def joined(files: Mapping[str, str]) -> str:
    """Return the digest of a folder's digests."""
    return new_sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


@contextmanager
def in_full() -> Iterator[None]:
    """Inside the block every file is read to its end, whatever an earlier command remembers of it."""
    token = _full.set(True)
    try:
        with read_once():
            yield
    finally:
        _full.reset(token)


@contextmanager
def read_once() -> Iterator[None]:
    """Inside the block, or a function it decorates, no file is read twice while it stays as it is, a new one neither."""
    token = _block.set({} if (computed := _block.get()) is None else computed)
    try:
        yield
    finally:
        _block.reset(token)


def file_sha256(file: Path) -> str:
    """Return the digest of a file's bytes: a large one is read again when its size, times or place have changed."""
    place, state = file.resolve(), _state(file)
    if state.size < _SMALL:
        return sha256(place)
    computed = _block.get()
    key = (file.stat().st_dev, *state)
    if computed is not None and key in computed:
        return computed[key]
    remembered = None if _full.get() else _remembered().get(str(place))
    if remembered is not None and remembered[1:] == [*state]:
        return str(remembered[0])
    digest = sha256(place)
    if _state(file) == state:
        if computed is not None:
            computed[key] = digest
        if time.time_ns() - max(state.modified, state.changed) > _SETTLED:
            _remember(str(place), [digest, *state])
    return digest


def _state(file: Path) -> _State:
    """Size, when the content and when anything was changed, and which file it is."""
    status = file.stat()
    return _State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _remembered() -> dict[str, list[object]]:
    with suppress(OSError, ValueError):
        digests = parse_object(read_text(cache_folder() / _CACHE))
        return {place: entry for place, entry in digests.items() if isinstance(entry, list) and len(entry) == 5}
    return {}


def _remember(place: str, entry: list[object]) -> None:
    others = [(path, digest) for path, digest in _remembered().items() if path != place]
    with suppress(OSError):  # not to be remembered is no reason to fail
        kept = dict([*others[-_MOST:], (place, entry)])
        write_atomically(cache_folder() / _CACHE, json.dumps(kept, ensure_ascii=True))

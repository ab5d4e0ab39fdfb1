"""Digests of a model's files: of all that is read from its folder, each remembered in the user's cache while its size and times stay.

>>> folder_sha256(Path("Llama-2-7b-hf"))
'5a1f...'
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any

from fintune.runtime.cache import cache_folder
from fintune.runtime.files import sha256, write_atomically
from fintune.runtime.untrusted import parse_object, read_text

_READ = (".safetensors", ".json", ".model", ".jinja", ".tiktoken", ".spm", ".codes")
_READ_NAMES = ("merges.txt", "vocab.txt", "dict.txt")
"""files of a model's folder that transformers may read"""
_CACHE = "digests.json"
_SMALL = 2**20
"""bytes: a smaller file is read each time"""
_SETTLED = 2 * 10**9
"""nanoseconds: a file changed more recently may change again within one tick of the clock that dates it"""
_MOST = 2000
_full: ContextVar[bool] = ContextVar("full", default=False)


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
    """Inside the block every byte is read, whatever is remembered."""
    token = _full.set(True)
    try:
        yield
    finally:
        _full.reset(token)


def file_sha256(file: Path) -> str:
    """Return the digest of a file's bytes: a large one is read again when its size, times or place have changed."""
    place, before = file.resolve(), _facts(file)
    if before[0] < _SMALL:
        return sha256(place)
    known = _known().get(str(place))
    if not _full.get() and known is not None and known[1:] == before:
        return str(known[0])
    digest = sha256(place)
    if _facts(file) == before and time.time_ns() - max(before[1:3]) > _SETTLED:
        _remember(str(place), [digest, *before])
    return digest


def _facts(file: Path) -> list[int]:
    """Size, when the content and when anything was changed, and which file it is."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _known() -> dict[str, list[Any]]:
    with suppress(OSError, ValueError):
        found = parse_object(read_text(cache_folder() / _CACHE))
        return {place: entry for place, entry in found.items() if isinstance(entry, list) and len(entry) == 5}
    return {}


def _remember(place: str, entry: list[Any]) -> None:
    others = [one for one in _known().items() if one[0] != place]
    with suppress(OSError):  # not to be remembered is no reason to fail
        kept = dict([*others[-_MOST:], (place, entry)])
        write_atomically(cache_folder() / _CACHE, json.dumps(kept, ensure_ascii=True))

"""The user's cache: where it lies, and numbers that are measured once on a machine, so that two runs of one seed do not differ.

Example:
    remembered("threads.json", "two cores, torch 2.13", measure)
    # 2
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from fintune.errors import BrokenEnvironment
from fintune.runtime.files import write_atomically
from fintune.runtime.untrusted import parse_object, read_text

Number = TypeVar("Number", int, float)


def remembered(name: str, key: str, measure: Callable[[], Number]) -> Number:
    """Return the number of `key` in the cache's file `name`, measured and written where it is not there."""
    number: Number | None = _numbers(cache_folder() / name).get(key)
    return remember(name, key, measure()) if number is None else number


def recall(name: str, key: str) -> float | None:
    """Return the number of `key` in the cache's file `name`; None where it is not there. A damaged file counts as empty."""
    return _numbers(cache_folder() / name).get(key)


def remember(name: str, key: str, number: Number) -> Number:
    """Write a number into the cache's file `name`, and return what stands there: another process may have been quicker."""
    place = cache_folder() / name
    known: dict[str, Number] = _numbers(place)
    with contextlib.suppress(OSError):  # not to be remembered is no reason to fail
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, json.dumps({key: number} | known, indent=1))
    return known.get(key, number)


def key_of(facts: Sequence[object]) -> str:
    """Return a short key of everything a number depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _numbers(place: Path) -> dict[str, Any]:
    try:
        content = parse_object(read_text(place))
        return {key: value for key, value in content.items() if isinstance(value, int | float) and value > 0}
    except (OSError, ValueError):
        return {}


def cache_folder() -> Path:
    """Where converted models are kept: FINTUNE_CACHE, or the user's cache folder."""
    return Path(os.environ.get("FINTUNE_CACHE") or user_cache_path("fintune"))


def writable_cache() -> Path:
    """Return the same, made where it is not there. Raises BrokenEnvironment, before any work, where nothing can be written."""
    return need_writable(cache_folder())


def need_writable(folder: Path, variable: str = "FINTUNE_CACHE", *, mode: int = 0o777) -> Path:
    """Return the folder, made where it is not there; `variable` names another one. Raises BrokenEnvironment."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        problem = f"{folder}: nothing can be written there: {error.strerror}"
        hint = f"Set {variable} to a folder that this user may write to, such as {variable}=/tmp/fintune."
        raise BrokenEnvironment(problem, hint=hint) from None
    return folder

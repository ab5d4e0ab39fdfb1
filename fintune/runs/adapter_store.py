"""Adapters kept in one place of this machine, by what they are: the name of a folder is the digest of its content.

Two processes may add and remove at a time: a folder is copied beside its place and renamed, and goes the same way.

>>> add("runs/phrasebank-lora", name="phrasebank").id
'3f0c9a1b2d4e'
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import category

from filelock import FileLock

from fintune.errors import RunError, did_you_mean
from fintune.runs.files import KEPT_WITH_ADAPTER
from fintune.runs.inspect_path import inspect
from fintune.runs.manifest import need_unchanged
from fintune.runs.run import Run
from fintune.runtime.cache import cache_folder, need_writable
from fintune.runtime.files import disk_errors, sha256
from fintune.runtime.untrusted import parse_json, read_text

ABOUT = "adapter.json"
_DIGITS = 12


@dataclass(frozen=True)
class Kept:
    """An adapter of the registry; `path` is what commands take for a RUN where it came from one."""

    id: str
    name: str
    kind: str
    method: str
    base: str
    path: str
    added: str

    def record(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def add(source: str | Path, *, name: str | None = None) -> Kept:
    """Copy a run, without checkpoints and exports, or a bare adapter folder. What is there already stays, whatever its name.

    Raises RunError when the name is another's or the run is not as it was scored, ModelError when it is no adapter.
    """
    place = Path(source).expanduser()
    facts = inspect(place)
    if facts["kind"] not in ("run", "adapter"):
        article = "an" if facts["kind"][0] in "aeiou" else "a"
        raise RunError(
            f"{place}: {article} {facts['kind']}, and no adapter",
            hint="Name a run folder, or the adapter folder in it.",
        )
    if facts["kind"] == "run":
        need_unchanged(Run(place))
    files, chosen = _files(place, facts["kind"]), name or place.resolve().name
    if any(category(character) == "Cc" for character in chosen):
        raise RunError(f"{chosen!r}: has control characters, and is no name", hint="Give another with --name.")
    need_writable(_root())
    with tempfile.TemporaryDirectory(dir=_root(), prefix=".adding-") as staging, disk_errors(_root() / chosen):
        made = Path(staging) / "made"
        for file in files:
            (made / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / file, made / file)
        digest = _digest(made, files)  # of the copy: the run may be replaced meanwhile
        about = Kept(
            digest, chosen, facts["kind"], str(facts.get("method")), str(facts.get("base", "")), str(_root() / digest),
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        )  # fmt: skip
        (made / ABOUT).write_text(json.dumps(about.record(), ensure_ascii=False, indent=1), encoding="utf-8")
        with FileLock(_root() / ".lock"):
            there = listed()
            if (same := next((kept for kept in there if kept.id == digest), None)) is not None:
                return same
            if (_root() / digest).exists():  # its adapter.json is damaged, or it would have been listed
                (_root() / digest).rename(Path(staging) / "damaged")
            if any(kept.name == chosen for kept in there):
                raise RunError(
                    f"--name {chosen}: is another adapter's", hint="Give another with --name, or remove that one first."
                )
            made.rename(_root() / digest)
    return about


def place_of(source: str | Path) -> Path:
    """Return the folder a path names, or an adapter's name or id here; what is neither stays a path."""
    place = Path(source).expanduser()
    kept = () if place.exists() else (one for one in listed() if str(source) in (one.name, one.id))
    return next((Path(one.path) for one in kept), place)


def listed() -> list[Kept]:
    """All of them, the newest last."""
    return sorted(_read(), key=lambda kept: (kept.added, kept.name))


def damaged() -> list[Path]:
    """Folders in their place that cannot be read as one of them."""
    there = sorted(path for path in _root().glob("[!.]*") if path.is_dir())
    whole = {kept.path for kept in _read()}
    return [path for path in there if str(path) not in whole and path.exists()]


def remove(what: str) -> Kept:
    """Take one out, by its name, or by the beginning of its id. Raises RunError."""
    with FileLock(_root() / ".lock") if _root().is_dir() else nullcontext():
        return _taken_out(what)


def _taken_out(what: str) -> Kept:
    found = [kept for kept in listed() if kept.name == what] or [
        kept for kept in listed() if what and kept.id.startswith(what)
    ]
    if len(found) != 1:
        names = [kept.name for kept in listed()]
        if found:
            raise RunError(f"{what}: several ids begin so", hint=f"Which? {', '.join(kept.id for kept in found)}")
        raise RunError(
            f"{what}: no such adapter",
            hint=did_you_mean(what, names) if names else "fintune adapters list: there is none.",
        )
    with tempfile.TemporaryDirectory(dir=_root(), prefix=".removing-") as staging:
        Path(found[0].path).rename(Path(staging) / found[0].id)
    return found[0]


def _root() -> Path:
    return cache_folder() / "adapters"


def _read() -> Iterator[Kept]:
    for file in _root().glob(f"*/{ABOUT}"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # removed meanwhile, damaged, or not ours
            about = parse_json(read_text(file)) | {"path": str(file.parent)}
            yield Kept(**{field.name: about[field.name] for field in fields(Kept)})


def _files(place: Path, kind: str) -> list[Path]:
    """Return what is copied, relative to the place."""
    adapter = Run(place).adapter if kind == "run" else place
    inner = [path.relative_to(place) for path in adapter.iterdir() if path.is_file()]
    return sorted(inner + [Path(name) for name in KEPT_WITH_ADAPTER if kind == "run" and (place / name).is_file()])


def _digest(place: Path, files: list[Path]) -> str:
    lines = [f"{file} {sha256(place / file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:_DIGITS]

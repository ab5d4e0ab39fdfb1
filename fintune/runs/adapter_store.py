"""Adapters kept in one place of this machine, by what they are: the name of a folder is the digest of its content.

Two processes may add and remove at a time: a folder is copied beside its place and renamed, and goes the same way.

Example:
    add("runs/phrasebank-lora", name="phrasebank").id
    # '3f0c9a1b2d4e'
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import category

from filelock import FileLock

from fintune.errors import RunError, did_you_mean
from fintune.runs.files import KEPT_WITH_ADAPTER
from fintune.runs.inspect_path import Sort, sort_of
from fintune.runs.manifest import need_unchanged
from fintune.runs.run import Run
from fintune.runtime.cache import cache_folder, need_writable
from fintune.runtime.files import disk_errors, sha256
from fintune.runtime.untrusted import need_name, parse_object, read_text

ABOUT = "adapter.json"
_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class KeptAdapter:
    """An adapter of the registry; `path` is what commands take for a RUN where it came from one."""

    id: str
    name: str
    kind: str
    method: str
    base: str
    path: str
    added: str

    def record(self) -> dict[str, str]:
        """Return it as programs and adapter.json have it."""
        return asdict(self)


def add(source: str | Path, *, name: str | None = None) -> KeptAdapter:
    """Copy a run, without checkpoints and exports, or a bare adapter folder. What is there already stays, whatever its name.

    Raises RunError when the name is another's or the run is not as it was scored, ModelError when it is no adapter.
    """
    place = Path(source).expanduser()
    need_name(place)
    sort, facts = _described(place)
    files, chosen = _files(place, sort.name), name or place.resolve().name
    if any(category(character) == "Cc" for character in chosen):
        raise RunError(f"{chosen!r}: has control characters, and is no name", hint="Give another with --name.")
    need_writable(_root())
    with tempfile.TemporaryDirectory(dir=_root(), prefix=".adding-") as staging, disk_errors(_root() / chosen):
        copy = Path(staging) / "made"
        for file in files:
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / file, copy / file)
        digest = _digest(copy, files)  # of the copy: the run may be replaced meanwhile
        kept = KeptAdapter(
            id=digest,
            name=chosen,
            kind=sort.name,
            method=str(facts.get("method")),
            base=str(facts.get("base", "")),
            path=str(_root() / digest),
            added=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        )
        (copy / ABOUT).write_text(json.dumps(kept.record(), ensure_ascii=False, indent=1), encoding="utf-8")
        return _take_in(kept, copy)


def _described(place: Path) -> tuple[Sort, Mapping[str, object]]:
    """Return what an adapter is, and its facts. Raises as add does."""
    sort = sort_of(place)
    if sort.name not in ("run", "adapter"):
        article = "an" if sort.name[0] in "aeiou" else "a"
        raise RunError(
            f"{place}: {article} {sort.name}, and no adapter", hint="Name a run folder, or the adapter folder in it."
        )
    opened = sort.open(place)
    facts = sort.facts(opened)
    if isinstance(opened, Run):
        need_unchanged(opened)
    return sort, facts


def _take_in(kept: KeptAdapter, copy: Path) -> KeptAdapter:
    """Move a copy into its place, unless the same is there already: then that is returned. Raises RunError for another's name."""
    with FileLock(_root() / ".lock"):
        others = listed()
        if (same := next((other for other in others if other.id == kept.id), None)) is not None:
            return same
        if Path(kept.path).exists():  # its adapter.json is damaged, or it would have been listed
            Path(kept.path).rename(copy.with_name("damaged"))
        if any(other.name == kept.name for other in others):
            raise RunError(
                f"--name {kept.name}: is another adapter's", hint="Give another with --name, or remove that one first."
            )
        copy.rename(kept.path)
    return kept


def place_of(source: str | Path) -> Path:
    """Return the folder a path names, or an adapter's name or id here; what is neither stays a path."""
    place = Path(source).expanduser()
    kept = () if place.exists() else (one for one in listed() if str(source) in (one.name, one.id))
    return next((Path(one.path) for one in kept), place)


def is_kept(folder: Path) -> bool:
    """Whether a run lies among the kept adapters, which have their answers to validation alone."""
    return folder.resolve().parent == _root().resolve()


def listed() -> list[KeptAdapter]:
    """Return all of them, the newest last."""
    return sorted(_read(), key=lambda kept: (kept.added, kept.name))


def damaged() -> list[Path]:
    """Return folders in their place that cannot be read as one of them."""
    folders = sorted(path for path in _root().glob("[!.]*") if path.is_dir())
    whole = {kept.path for kept in _read()}
    return [path for path in folders if str(path) not in whole and path.exists()]


def remove(what: str) -> KeptAdapter:
    """Take one out, by its name, or by the beginning of its id. Raises RunError."""
    with FileLock(_root() / ".lock") if _root().is_dir() else nullcontext():
        return _taken_out(what)


def _taken_out(what: str) -> KeptAdapter:
    adapters = listed()
    matching = [kept for kept in adapters if kept.name == what] or [
        kept for kept in adapters if what and kept.id.startswith(what)
    ]
    if len(matching) > 1:
        raise RunError(f"{what}: several ids begin so", hint=f"Which? {', '.join(kept.id for kept in matching)}")
    if not matching:
        names = [kept.name for kept in adapters]
        raise RunError(
            f"{what}: no such adapter",
            hint=did_you_mean(what, names) if names else "fintune adapters list: there is none.",
        )
    with tempfile.TemporaryDirectory(dir=_root(), prefix=".removing-") as staging:
        Path(matching[0].path).rename(Path(staging) / matching[0].id)
    return matching[0]


def _root() -> Path:
    return cache_folder() / "adapters"


def _read() -> Iterator[KeptAdapter]:
    for file in _root().glob(f"*/{ABOUT}"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # removed meanwhile, damaged, or not ours
            about: dict[str, Any] = {**parse_object(read_text(file)), "path": str(file.parent)}
            yield KeptAdapter(**{field.name: about[field.name] for field in fields(KeptAdapter)})


def _files(place: Path, kind: str) -> list[Path]:
    """Return what is copied, relative to the place."""
    adapter = Run(place).adapter if kind == "run" else place
    inner = [path.relative_to(place) for path in adapter.iterdir() if path.is_file()]
    return sorted(inner + [Path(name) for name in KEPT_WITH_ADAPTER if kind == "run" and (place / name).is_file()])


def _digest(place: Path, files: list[Path]) -> str:
    lines = [f"{file} {sha256(place / file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:_DIGITS]

"""From `data.path` to files: globs, several files, built-in sets, `file#part`; what each one is and how it is encoded.

Example:
    [source.name for source in expand(["2024-*.csv", "builtin:headlines"])]
    # ['2024-01.csv', '2024-02.csv', 'headlines.jsonl']
"""

import contextlib
import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fintune.data.readers.hub_datasets import HUB, is_saved, parse_reference
from fintune.data.readers.plain_text import holds_labels
from fintune.errors import DataError
from fintune.runtime.untrusted import need_name

BUILTIN = "builtin:"
"""Prefix of `data.path` for the sets that ship with the package."""

_BUILTIN_FOLDER = Path(__file__).parents[1] / "builtin"


@dataclass(frozen=True)
class Source:
    """One file, folder or hub reference."""

    reference: str
    """The source as the config names it."""
    path: Path
    name: str
    """A short name unlike that of every other source of the run; ids begin with it."""
    part: str = ""
    """The sheet or split that is read."""
    hub: bool = False


def expand(paths: str | Sequence[str]) -> list[Source]:
    """Return the sources behind `data.path`, a glob's in order of their names. Raises DataError when one is not there."""
    named = [paths] if isinstance(paths, str) else list(paths)
    sources = [source for path in named for source in _expand(path)]
    if not sources:
        raise DataError("data.path: names no file", hint="Name a file, several, or a glob.")
    return unlike(sources)


def _expand(path: str) -> list[Source]:
    if not path.strip():
        raise DataError("the path of the data is empty", hint="Name a file.")
    if path.startswith(BUILTIN):
        file = _builtin(path)
        return [Source(path, file, file.name)]
    if path.startswith(HUB):
        reference, _, part = path.partition("#")
        parse_reference(reference)
        return [Source(path, Path(), reference, part, hub=True)]
    file, part = _file_and_part(path)
    if not file.exists() and glob.has_magic(path):
        matches = sorted(Path(match) for match in glob.glob(str(file), recursive=True))
        if not matches:
            raise DataError(f"{path}: matches no file", hint="Check the path.")
        return [Source(str(match), _plain(match, str(match)), match.name, part) for match in matches if match.is_file()]
    return [Source(path, _plain(file, path), file.name, part)]


def _file_and_part(path: str) -> tuple[Path, str]:
    """`book.xlsx#Sheet2` taken apart, unless a file bears that very name."""
    file = _home(path)
    if not file.exists() and "#" in path:
        stem, _, part = path.rpartition("#")
        return _home(stem), part
    return file, ""


def _home(path: str) -> Path:
    file = Path(path)
    with contextlib.suppress(RuntimeError):  # no such user
        file = file.expanduser()
    return file


def _plain(file: Path, path: str) -> Path:
    need_name(file)
    if not file.exists():
        near = (
            ", ".join(sorted(p.name for p in file.parent.glob("*") if p.is_file())[:5]) if file.parent.is_dir() else ""
        )
        raise DataError(f"{path}: no such file", hint=f"Found there: {near}." if near else "Check the path.")
    if not file.is_file() and not (file.is_dir() and (is_saved(file) or holds_labels(file))):
        raise DataError(f"{path}: not a plain file", hint="Name files in data.path, or a glob such as folder/*.csv.")
    return file


def unlike(sources: list[Source]) -> list[Source]:
    """Return them with names made longer, by folders, until no two are the same. Raises DataError when one is named twice."""
    seen = Counter((source.reference if source.hub else str(source.path.resolve()), source.part) for source in sources)
    for (path, _), count in seen.items():
        if count > 1:
            raise DataError(f"{path}: named twice", hint="Name every file once.")
    for length in range(2, 40):
        names = Counter(source.name for source in sources)
        if max(names.values()) == 1:
            break
        sources = [
            replace(s, name="/".join(s.path.resolve().parts[-length:]) + (f"#{s.part}" if s.part else ""))
            if names[s.name] > 1
            else s
            for s in sources
        ]
    return sources


def _builtin(path: str) -> Path:
    file = _BUILTIN_FOLDER / f"{path.removeprefix(BUILTIN)}.jsonl"
    if not file.is_file():
        names = ", ".join(BUILTIN + p.stem for p in sorted(_BUILTIN_FOLDER.glob("*.jsonl")))
        raise DataError(f"data.path: no built-in set '{path}'", hint=f"Built in: {names}.")
    return file

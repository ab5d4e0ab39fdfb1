"""A file of one kind where another is wanted: what it is, and what to type instead.

Example:
    mistaken_for_config(Path("news.csv"))
    # ('news.csv: a data file, not a config', 'fintune init run.yaml --data news.csv, then fintune check run.yaml')
"""

import re
from pathlib import Path
from shlex import quote

from fintune.data.readers.formats import READERS
from fintune.data.readers.packed import PACKED

_DATA = {suffix for reader in READERS.values() for suffix in reader.suffixes} - {".json"}
_HEAD = 4096
_FIRST_KEY = re.compile(rb'\{\s*"([^"\\]*)"\s*:\s*(\[?)')
_CONFIGS = (".yaml", ".yml")
_SECTIONS = {"name", "output", "model", "data", "task", "method", "train", "evaluation", "compare"}
"""Sections of a config, as RunConfig has them."""


def is_data(path: Path) -> bool:
    """Whether a file's name says that it holds data; of .json only its content tells."""
    return path.suffix.lower() in (*_DATA, *PACKED)


def holds_records(path: Path) -> bool:
    """Whether a .json file is data, by its beginning: a list, or an object whose first key is no section of a config."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    first = _FIRST_KEY.match(head)
    if first is None:
        return head.startswith(b"[")
    return first[1].decode("utf-8", "replace") not in _SECTIONS or bool(first[2])


def mistaken_for_config(path: Path, content: object = None) -> tuple[str, str] | None:
    """Return what was named as a config, and what to type; None where it may be one. `content` as far as it was read."""
    if (path / "config.yaml").is_file():
        return f"{path}: a run folder, not a config", f"The config it was made with: {path / 'config.yaml'}"
    if path.is_dir():
        return f"{path}: a folder, not a config", "Name a .yaml file; write one with: fintune init"
    if path.is_file() and (is_data(path) or (path.suffix.lower() == ".json" and _are_rows(content))):
        return (
            f"{path}: a data file, not a config",
            f"fintune init run.yaml --data {quote(str(path))}, then fintune check run.yaml",
        )
    return None


def _are_rows(content: object) -> bool:
    """Whether JSON is no config: a list, or an object none of whose keys is a section."""
    if not isinstance(content, dict):
        return isinstance(content, list)
    sections = [content[name] for name in _SECTIONS & content.keys() if name not in ("name", "output")]
    return bool(content) and (any(isinstance(value, list) for value in sections) or not _SECTIONS & content.keys())


def mistaken_for_run(path: Path) -> tuple[str, str] | None:
    """Return what was named as a run, and what to type; None where nothing is known of it."""
    if path.is_file() and path.suffix.lower() in _CONFIGS:
        return f"{path}: a config, not a run folder", f"Make the run with: fintune train {quote(str(path))}"
    if path.is_file() and (is_data(path) or path.suffix.lower() == ".json"):
        return (
            f"{path}: a data file, not a run folder",
            f"fintune evaluate RUN --data {quote(str(path))}, or predict RUN --file",
        )
    return None

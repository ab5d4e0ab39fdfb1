"""Files that may be a stranger's, read within bounds: plain files only, no larger, deeper or longer unfolded than memory and time bear.

What breaks a bound is a ValueError that says so, what is no plain file an OSError. Each reader says whose file it was.

Example:
    parse_json(read_text(Path("runs/phrasebank-lora/data.json")))["fingerprint"]
    # '9f2c41d7'
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from fintune.errors import RunError
from fintune.runtime.library_messages import yaml_problem

LARGEST = 64 * 2**20
"""Most bytes of a file that is read whole."""
LARGEST_LIST = 2**30
"""Most bytes of a file with a line or an id for each row of the data."""
_MOST_HOLES = 2**32
"""Most bytes of a file that were never written; reading them takes some seconds."""
LARGEST_CONFIG = 2**20
"""Most characters of a YAML file."""
DEEPEST = 40
"""Most levels of a YAML file."""
MOST_VALUES = 20_000
"""Most values of a YAML file, with those that aliases repeat; ruamel reads some ten thousand a second."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON escapes half a character."""
_SURROGATES = re.compile(r"(?<!\\)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""How JSON escapes a whole character in two halves."""


class BrokenYaml(ValueError):
    """What is wrong with a YAML text, in which line where that is known, and whether in a backslash between double quotes."""

    def __init__(self, problem: str, line: int | None = None, *, in_escape: bool = False) -> None:
        super().__init__(problem)
        self.line, self.in_escape = line, in_escape


def open_plain(path: Path) -> BufferedReader:
    """Return a file's bytes. Raises OSError for what is no plain file: a pipe waits, a device never ends."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(number, "rb")


def need_content(file: BufferedReader) -> None:
    """Refuse a file with long holes, which would be read for hours; a disk that knows of none says so. Raises OSError."""
    holes = 0
    for start, end in _holes(file.fileno()):
        holes += end - start
        if holes > _MOST_HOLES:
            reason = (
                f"{os.fstat(file.fileno()).st_size:,} bytes long, of which more than {_MOST_HOLES:,} were never written"
            )
            raise OSError(errno.EINVAL, reason, str(file.name))


def _holes(number: int) -> Iterator[tuple[int, int]]:
    """Where they begin and end, by lseek(2). Leaves the file at its beginning."""
    size, at = os.fstat(number).st_size, 0
    while (start := _next(number, "SEEK_HOLE", at, size)) < size:
        at = _next(number, "SEEK_DATA", start, size)
        yield start, at
    os.lseek(number, 0, os.SEEK_SET)


def _next(number: int, what: str, at: int, size: int) -> int:
    """Return the next place of this sort; the end where there is none, or the system cannot tell."""
    try:
        return os.lseek(number, at, getattr(os, what))
    except (OSError, AttributeError):
        return size


def read_bytes(path: Path, *, most: int = LARGEST) -> bytes:
    """Return a file whole. Raises ValueError when it is larger than `most` bytes."""
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > most or len(content := file.read(most + 1)) > most:
            raise ValueError(f"larger than {most:,} bytes")
        return content


def read_text(path: Path, *, most: int = LARGEST) -> str:
    """Return a UTF-8 file whole. Raises ValueError, of its kind UnicodeDecodeError when it is in another encoding."""
    return read_bytes(path, most=most).decode("utf-8").replace("\r\n", "\n")


def parse_json(text: str) -> object:
    """Return what JSON holds. Raises ValueError, also where it is nested too deeply, or holds halves of characters."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _HALF.search(text):
        need_whole_characters(json.dumps(content, ensure_ascii=False))
    return content


def parse_object(text: str) -> dict[str, object]:
    """Return what a JSON object holds. Raises ValueError."""
    content = parse_json(text)
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__}, where an object should stand")
    return content


def parse_yaml(text: str) -> object:
    """Return what YAML 1.2 holds. Raises BrokenYaml."""
    if len(text) > LARGEST_CONFIG:
        raise BrokenYaml(f"larger than {LARGEST_CONFIG:,} characters")
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.max_depth = _Composer, DEEPEST
    try:
        return yaml.load(_SURROGATES.sub(_joined, text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem, in_escape = yaml_problem(error.problem or str(error))
        raise BrokenYaml(problem, line, in_escape=in_escape) from None
    except (YAMLError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise BrokenYaml((str(error).splitlines() or [type(error).__name__])[0]) from None


def need_name(path: Path) -> None:
    """Refuse a file or folder whose name is not UTF-8: no record could hold it. Raises RunError."""
    try:
        need_whole_characters(str(path.absolute()))
    except ValueError as error:
        shown = str(path.absolute()).encode("utf-8", "backslashreplace").decode()
        raise RunError(f"{shown}: {error}: a name that is not UTF-8", hint="Rename it, or its folder.") from None


def need_whole_characters(text: str) -> str:
    """Return the text. Raises ValueError when it cannot be written: it holds halves of characters, as names that are not UTF-8 do."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"holds \\u{ord(text[error.start]):04x}, which is half a character") from None
    return text


def _joined(escapes: re.Match[str]) -> str:
    """One character for the two halves that JSON escapes it as."""
    high, low = (int(half, 16) for half in escapes.groups())
    return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))


class _Composer(Composer):
    """Counts values as aliases unfold them, before any is made."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self.warn_double_anchors = False
        self._sizes: dict[int, int] = {}
        self._read = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, self._read = self.parser.peek_event(), self._read + 1
        alias = self.parser.check_event(AliasEvent)
        node = super().compose_node(parent, index)
        if alias and id(node) not in self._sizes:
            raise ComposerError(None, None, f"*{event.anchor} stands in what it repeats", event.start_mark)
        if not alias:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(inner)] for inner in _inner(node))
        if max(self._read, self._sizes[id(node)]) > MOST_VALUES:
            raise ComposerError(None, None, f"holds more than {MOST_VALUES:,} values", event.start_mark)
        return node


def _inner(node: Node) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        yield from chain.from_iterable(node.value)

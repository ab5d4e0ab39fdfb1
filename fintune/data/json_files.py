"""JSON lines, and one JSON array read element by element, so that memory stays flat."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from fintune.data.opening import LONGEST, Broken, Fields, Opening, cells, lines

_CHUNK = 1 << 16
_ARRAY = re.compile(r"\[\s*[\[{]")
_ONE_A_LINE = "Write one JSON object on each line, or one array of objects in the whole file."


def read_jsonl(path: Path, opening: Opening) -> Iterator[tuple[int | str, Fields | Broken]]:
    """One JSON object (or list) a line; blank lines are passed over. A file that is one array is read as such."""
    if _is_array(path, opening):
        yield from read_json(path, opening)
        return
    yield from _lines(path, opening)


def read_json(path: Path, opening: Opening) -> Iterator[tuple[int | str, Fields | Broken]]:
    """The elements of one array, each named by line and place in it (`12[3]`); a file without brackets is JSON lines."""
    with path.open(encoding=opening.encoding, errors="surrogateescape") as file:
        stream = _Elements(file)
        if stream.first() == "[" and _is_array(path, opening):
            yield from stream.elements()
            return
    yield from _lines(path, opening)


def _is_array(path: Path, opening: Opening) -> bool:
    """Whether a file begins with a bracket and its first line is no JSON list that others follow."""
    content = [line for _, line in itertools.islice(lines(path, opening.encoding), 50) if isinstance(line, str)]
    shown = [line.strip() for line in content if line.strip()]
    if not shown or not shown[0].startswith("["):
        return False
    if len(shown) == 1:
        return _ARRAY.match(shown[0]) is not None
    return not _parses(shown[0]) or not shown[1].startswith("[")


def _parses(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    for line, content in lines(path, opening.encoding):
        if isinstance(content, Broken):
            yield line, content
        elif content.strip():
            try:
                yield line, _record(json.loads(content))
            except (ValueError, RecursionError) as error:
                yield line, Broken(f"not JSON: {error}", _ONE_A_LINE)


def _record(value: object) -> Fields | Broken:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return cells(value)
    return Broken(
        f"found {type(value).__name__}, not a JSON object", 'Write records such as {"text": "...", "label": "..."}.'
    )


def _unread(problem: str) -> Broken:
    hint = "Check brackets, commas and quotes around there; the file may be cut short."
    return Broken(f"not JSON: {problem}; everything from here on is unread", hint, "unread")


class _Elements:
    """A window over the text that moves from element to element."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at, self._line = file, "", 0, 1
        self._decoder = json.JSONDecoder()

    def first(self) -> str:
        """The next character that is not blank, "" at the end; the window starts there afterwards."""
        while True:
            blanks = len(self._text) - self._at - len(self._text[self._at :].lstrip())
            self._skip(blanks)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def elements(self) -> Iterator[tuple[str, Fields | Broken]]:
        """What stands between the brackets. Behind something that is no JSON nothing can be told apart any more."""
        self._skip(1)
        number = -1
        while (mark := self.first()) != "]":
            number += 1
            if number and mark == ",":
                self._skip(1)
                mark = self.first()
            elif number and mark:
                yield f"{self._line}[{number}]", _unread("no comma between two elements")
                return
            if not mark:
                yield f"{self._line}[{number}]", _unread("the array has no end")
                return
            line, found = self._line, self._element()
            if isinstance(found, Broken):
                yield f"{self._line}[{number}]", found
                return
            yield f"{line}[{number}]", _record(found[0])
        self._skip(1)
        if self.first():
            yield f"{self._line}[{number + 1}]", _unread("something stands behind the array")

    def _element(self) -> tuple[object] | Broken:
        while True:
            try:
                value, stop = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at < LONGEST and self._more():
                    continue
                self._skip(max(0, getattr(error, "pos", self._at) - self._at))
                return _unread(str(getattr(error, "msg", error)))
            if stop == len(self._text) and self._more():  # a number may go on
                continue
            self._skip(stop - self._at)
            return (value,)

    def _skip(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

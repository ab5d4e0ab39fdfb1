"""JSON lines, and one JSON array read element by element, so that memory stays flat."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from fintune.data.opening import LONGEST, Broken, Fields, Opening, cells, lines

_CHUNK = 1 << 16
_ONE_A_LINE = "Write one JSON object on each line."


def read_jsonl(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """One JSON object (or list) a line; blank lines are passed over."""
    for line, content in lines(path, opening.encoding):
        if isinstance(content, Broken):
            yield line, content
        elif content.strip():
            try:
                yield line, _record(json.loads(content))
            except (ValueError, RecursionError) as error:
                yield line, Broken(f"not JSON: {error}", _ONE_A_LINE)


def read_json(path: Path, opening: Opening) -> Iterator[tuple[int | str, Fields | Broken]]:
    """The elements of one array, each named by line and place in it (`12[3]`); a file of objects without brackets is read as JSON lines."""
    with path.open(encoding=opening.encoding, errors="surrogateescape") as file:
        stream = _Elements(file)
        if stream.first() == "[":
            yield from stream.elements()
            return
    yield from read_jsonl(path, opening)


def _record(value: object) -> Fields | Broken:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return cells(value)
    return Broken(
        f"found {type(value).__name__}, not a JSON object", 'Write records such as {"text": "...", "label": "..."}.'
    )


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
        """What stands between the brackets."""
        self._skip(1)
        number = -1
        while (mark := self.first()) != "]":
            number += 1
            if mark == ",":
                self._skip(1)
                mark = self.first()
            if not mark:
                yield f"{self._line}[{number}]", Broken("not JSON: the array has no end", "The file may be cut short.")
                return
            line, found = self._line, self._element()
            if isinstance(found, Broken):
                yield f"{self._line}[{number}]", found
                return
            yield f"{line}[{number}]", _record(found[0])

    def _element(self) -> tuple[object] | Broken:
        while True:
            try:
                value, stop = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at < LONGEST and self._more():
                    continue
                self._skip(max(0, getattr(error, "pos", self._at) - self._at))
                return Broken(f"not JSON: {getattr(error, 'msg', error)}", "Check brackets and commas around there.")
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

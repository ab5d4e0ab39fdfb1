"""A window over JSON text that moves from value to value, so that memory stays flat whatever the file's size.

Example:
    window = Window(io.StringIO('{"data": [1, 2]}'))
    [(key, window.value()) for key in window.items()]
    # [('data', [1, 2])]
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from fintune.data.readers.columns import LONGEST_RECORD
from fintune.runtime.library_messages import is_open_string

_CHUNK, _DEEPEST = 1 << 16, 500
_ESCAPE = len(r"\ud83d\ude00")
"""Characters of the longest escape that may be cut in two."""
_BLANKS = re.compile(r"\s*")
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}
_INSIDE = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_IN_STRING = re.compile(_INSIDE, re.DOTALL)
_STRING = rf'"{_INSIDE}"'
_PLAIN = rf'(?:[^\[\]{{}}"]++|{_STRING})*+'
_RUN = re.compile(rf'(?:[^\[\]{{}}"]++|{_STRING}|\[{_PLAIN}\]|\{{{_PLAIN}\}})++', re.DOTALL)
"""Text that does not change the depth: values, strings, arrays and objects with nothing nested in them."""


class Damaged(Exception):
    """Something that is no JSON: behind it nothing can be told apart any more."""


class OverlongValue(Damaged):
    """A value of more characters than any text has; what stands behind it can be read."""


class Repeated(dict[str, object]):
    """An object in which `key` stands twice: which of its values is meant nobody can tell."""

    key: str = ""


def as_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a dict, or a Repeated: the object_pairs_hook of json."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = Repeated(members)
    repeated.key = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
    return repeated


class Window:
    """Stands before a value; `line` is where, `number` counts the items of what is gone through."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self.line, self.number = 1, 0
        self._decoder = json.JSONDecoder(object_pairs_hook=as_object)

    def first(self) -> str:
        """Return the next character that is not blank, "" at the end; the window starts there afterwards."""
        while True:
            self._skip(_BLANKS.match(self._text, self._at).end() - self._at)  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def ahead(self, count: int) -> str:
        """Return the next so many characters, which stay where they are."""
        while len(self._text) - self._at < count and self._more():
            pass
        return self._text[self._at : self._at + count]

    def items(self) -> Iterator[str]:
        """Stop before each value of an array or object and give its key, "" in an array; the caller takes or passes it."""
        mark = self.first()
        if mark not in ("[", "{"):
            raise Damaged("no array or object")
        what, closing = ("array", "]") if mark == "[" else ("object", "}")
        self._skip(1)
        number = self.number = -1
        while (mark := self.first()) != closing:
            self.number = number = number + 1
            if number and mark == ",":
                self._skip(1)
                mark = self.first()
            elif number and mark:
                raise Damaged("no comma between two elements")
            if not mark:
                raise Damaged(f"the {what} has no end")
            yield self._key() if what == "object" else ""
        self.number = number + 1
        self._skip(1)

    def value(self) -> object:
        """Take the next value. Raises OverlongValue, standing before it still, when it has more than LONGEST_RECORD characters."""
        self.first()
        while True:
            try:
                value, stop = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._may_go_on(error):
                    self._need_short(len(self._text) - self._at)
                    if self._more():
                        continue
                self._skip(max(0, getattr(error, "pos", self._at) - self._at))
                raise Damaged(str(getattr(error, "msg", "nested too deeply"))) from None
            if stop == len(self._text) and self._more():  # a number may go on
                continue
            self._need_short(stop - self._at)
            self._skip(stop - self._at)
            return value

    def pass_over(self) -> None:
        """Leave the next value behind, whatever its size."""
        if self.first() == '"':
            self._pass_string()
            return
        if self.first() not in ("[", "{"):
            self.value()
            return
        depth = 0
        while True:
            bracket = self.ahead(1)
            if bracket == '"':
                self._pass_string()
            elif bracket:
                depth += _DEEPER[bracket]
                self._skip(1)
            if depth > _DEEPEST or not bracket:
                raise Damaged("nested too deeply" if bracket else "an array or object has no end")
            if depth == 0:
                return
            while self.ahead(1) and (run := _RUN.match(self._text, self._at)) is not None:
                self._skip(run.end() - self._at)

    def values(self) -> Iterator[object]:
        """All values of an array or object, one by one."""
        for _ in self.items():
            yield self.value()

    def descend(self, key: str) -> None:
        """Go to the value under a key of the object at hand. Raises Damaged when there is none."""
        if self.first() == "{":
            for name in self.items():
                if name == key:
                    return
                self.pass_over()
        raise Damaged(f"no '{key}'")

    def _key(self) -> str:
        key = self.value() if self.first() == '"' else None
        if not isinstance(key, str) or self.first() != ":":
            raise Damaged("no key and colon before a value")
        self._skip(1)
        self.first()
        return key

    def _pass_string(self) -> None:
        self._skip(1)
        while True:
            self._skip(_IN_STRING.match(self._text, self._at).end() - self._at)  # type: ignore[union-attr]
            if self._text[self._at : self._at + 1] == '"':
                self._skip(1)
                return
            if not self._more():
                raise Damaged("a string has no end")

    def _may_go_on(self, error: ValueError | RecursionError) -> bool:
        """Whether what is no JSON yet may be once more of it is read: it is wrong at its end, or a string is open."""
        at = getattr(error, "pos", 0)
        return at >= len(self._text) - _ESCAPE or is_open_string(error)

    def _need_short(self, length: int) -> None:
        if length > LONGEST_RECORD:
            raise OverlongValue(f"longer than {LONGEST_RECORD:,} characters")

    def _skip(self, count: int) -> None:
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _more(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

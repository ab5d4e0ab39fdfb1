"""JSON lines, and JSON files read value by value: an array of records, an object of them, a table kept by columns.

What a file holds is told by its first lines and keys; `file.json#key` names a member of an object that holds several arrays.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from fintune.data.readers.columns import Broken, Fields, Opening, cells, lines, need_columns, top_of
from fintune.data.readers.json_window import Damaged, OverlongValue, Repeated, Window, as_object
from fintune.data.readers.packed import open_text
from fintune.errors import DataError, did_you_mean

Records = Iterator[tuple[int | str, Fields | Broken]]

_ARRAY = re.compile(r"\[\s*[\[{]")
_FIRST_KEY = re.compile(r'\{\s*"((?:[^"\\]|\\.)*)"')
_ONE_A_LINE = "Write one JSON object on each line, or one array of objects in the whole file."
_GOES_ON = ("[", "{", ",", ":")
"""Ends of a line that is no record by itself."""
_MOST, _AHEAD = 100, 4096
"""Members of an object, and characters of each, that are looked at."""


@dataclass(frozen=True)
class _Member:
    """What stands under a key of an object: "rows" are objects or lists in an array, "values" anything else in one."""

    key: str
    kind: Literal["scalar", "empty", "rows", "values", "object"]
    inner: str = ""
    """The first key of an object."""


def read_json(path: Path, opening: Opening) -> Records:
    """Yield the records of a file, each named by its line, and by its place where it is one of many values: `12[3]`."""
    with ExitStack() as stack:
        window = _window(stack, path, opening)
        mark = window.first()
        by_line = _is_json_lines(path, opening, mark)
        if opening.part and (by_line or mark == "["):
            raise DataError(
                f"{opening.name}: holds records, none under '{opening.part}'", hint=f"Leave out '#{opening.part}'."
            )
        if by_line:
            yield from _lines(path, opening)
        elif mark == "[":
            yield from _elements(window, whole=True)
        else:
            yield from _of_object(path, opening)


def _is_json_lines(path: Path, opening: Opening, mark: str) -> bool:
    """Whether a record stands on each line, by the first two that are not blank."""
    content = (line for _, line in lines(path, opening.encoding))
    shown = list(islice((line for line in content if isinstance(line, Broken) or line.strip()), 2))
    first, second = [*shown, "", ""][:2]
    goes_on = isinstance(second, str) and second.lstrip().startswith(mark)
    if mark == "[":
        if isinstance(first, Broken) or len(shown) > 1:
            return isinstance(first, str) and goes_on and _parses(first)
        return _ARRAY.match(first.lstrip("\ufeff \t")) is None
    if mark != "{":
        return True
    if len(shown) < 2 or isinstance(first, Broken):
        return len(shown) > 1 and goes_on
    return (goes_on and not first.rstrip().endswith(_GOES_ON)) or _parses(first)


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
                yield line, _record(json.loads(content, object_pairs_hook=as_object))
            except (ValueError, RecursionError) as error:
                yield line, Broken(f"not JSON: {error}", _ONE_A_LINE)


def _record(value: object, names: Sequence[str] | None = None) -> Fields | Broken:
    if isinstance(value, Repeated):
        return Broken(f"the key '{value.key}' stands in it twice", "Leave one of them.")
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        if names is None or len(value) == len(names):
            return cells(value) if names is None else dict(zip(names, value, strict=True))
        return Broken(f"{len(value)} values where columns has {len(names)}", "Mend the row.")
    return Broken(
        f"found {type(value).__name__}, not a JSON object", 'Write records such as {"text": "...", "label": "..."}.'
    )


def _unread(problem: str) -> Broken:
    hint = "Check brackets, commas and quotes around there; the file may be cut short."
    return Broken(f"not JSON: {problem}; everything from here on is unread", hint, "unread")


def _window(stack: ExitStack, path: Path, opening: Opening, *keys: str) -> Window:
    """Return a window over the file, before the value under these keys."""
    window = Window(stack.enter_context(open_text(path, opening.encoding)))
    for key in keys:
        window.descend(key)
    return window


def _elements(window: Window, names: Sequence[str] | None = None, *, whole: bool = False) -> Records:
    """Yield the records of the array or object at hand; behind one that is `whole` nothing may stand."""
    try:
        for _ in window.items():
            place = f"{window.line}[{window.number}]"
            try:
                record = _record(window.value(), names)
            except OverlongValue as error:
                window.pass_over()
                record = Broken(str(error), "The file may be damaged.")
            yield place, record
        if whole and window.first():
            raise Damaged("something stands behind the array")
    except Damaged as error:
        yield f"{window.line}[{window.number}]", _unread(str(error))


def _one_after_another(window: Window) -> Records:
    """Objects that are written over several lines each."""
    while window.first():
        line = window.line
        try:
            yield line, _record(window.value())
        except Damaged as error:
            yield window.line, _unread(str(error))
            return


def _of_object(path: Path, opening: Opening) -> Records:
    """Yield the rows within one object; DataError when nothing tells where they are."""
    with ExitStack() as stack:
        keys = (opening.part,) if opening.part else ()
        members = _members(_window(stack, path, opening))
        if opening.part:
            _need_member(opening, members)
            if _window(stack, path, opening, *keys).first() == "[":
                yield from _elements(_window(stack, path, opening, *keys))
                return
            members = _members(_window(stack, path, opening, *keys))
        inner = _inside(stack, path, opening, keys, members)
        layout = inner or _layout(members, opening)
        if layout not in ("record", "by id"):
            _need_each_once(opening, members)
        if layout == "record":
            yield from _one_after_another(_window(stack, path, opening, *keys))
        elif layout == "by id":
            yield from _elements(_window(stack, path, opening, *keys), whole=not keys)
        elif layout == "columns":
            yield from _by_columns(stack, path, opening, keys, [member.key for member in members])
        elif layout == "split":
            yield from _split(stack, path, opening, keys)
        else:
            yield from _elements(_window(stack, path, opening, *keys, *layout.removeprefix("#").split("\0")))


def _members(window: Window) -> list[_Member]:
    """Return the first members of an object, as far as it can be read."""
    members: list[_Member] = []
    with suppress(Damaged):
        for key in window.items():
            members.append(_member(key, window.ahead(_AHEAD)))
            if len(members) == _MOST:
                break
            window.pass_over()
    return members


def _inside(
    stack: ExitStack, path: Path, opening: Opening, keys: Sequence[str], members: Sequence[_Member]
) -> str | None:
    """Return where the only array of rows lies that an object within the object holds, as an answer of a service has it."""
    objects = [member.key for member in members if member.kind == "object"]
    if len(objects) != 1 or len(members) < 2 or any(member.kind in ("rows", "values") for member in members):
        return None
    inner = _members(_window(stack, path, opening, *keys, objects[0]))
    tables = [member.key for member in inner if member.kind == "rows"]
    return f"#{objects[0]}\0{tables[0]}" if len(tables) == 1 else None


def _member(key: str, ahead: str) -> _Member:
    if ahead.startswith("{"):
        match = _FIRST_KEY.match(ahead)
        return _Member(key, "object", match[1] if match else "")
    if not ahead.startswith("["):
        return _Member(key, "scalar")
    inside = ahead[1:].lstrip()[:1]
    return _Member(key, "empty" if inside == "]" else "rows" if inside in ("[", "{") else "values")


def _layout(members: Sequence[_Member], opening: Opening) -> str:
    """How an object holds rows: "record", "by id", "columns", "split", or "#key" of the array that does."""
    kinds = {member.key: member.kind for member in members}
    text = None if opening.columns.by_number() else kinds.get(top_of(opening.columns.text, kinds))
    held, tables = set(kinds.values()), [key for key, kind in kinds.items() if kind == "rows"]
    if text in ("scalar", "rows") or held <= {"scalar"}:
        return "record"
    if text in ("object", "values") or held == {"values"}:
        return "columns"
    if kinds.get("columns") == "values" and "data" in tables:  # pandas' orient="split"
        return "split"
    if len(tables) == 1:
        return f"#{tables[0]}"
    if held == {"object"}:
        return "columns" if len(members) > 1 and {member.inner for member in members} == {"0"} else "by id"
    shown = ", ".join(tables or kinds)[:200]
    if tables:
        raise DataError(
            f"{opening.name}: one JSON object with several arrays of rows: {shown}",
            hint=f"Name the one to read behind the path, as in {opening.name}#{tables[0]}.",
        )
    raise DataError(f"{opening.name}: one JSON object without rows; its keys: {shown}", hint=_ONE_A_LINE)


def _need_member(opening: Opening, members: Sequence[_Member]) -> None:
    keys = [member.key for member in members if member.kind in ("rows", "object")]
    if opening.part not in keys:
        hint = did_you_mean(opening.part, keys) if keys else _ONE_A_LINE
        raise DataError(f"{opening.name}: no rows under '{opening.part}'", hint=hint)


def _need_each_once(opening: Opening, members: Sequence[_Member]) -> None:
    key, count = Counter(member.key for member in members).most_common(1)[0]
    if count > 1:
        raise DataError(f"{opening.name}: the key '{key}' stands in it twice", hint="Leave one of them.")


def _by_columns(stack: ExitStack, path: Path, opening: Opening, keys: Sequence[str], names: Sequence[str]) -> Records:
    """Yield a table kept by columns, `{column: [...]}` or `{column: {row: value}}`: a window for each column that is wanted."""
    need_columns(opening, 1, names)
    columns = opening.columns
    wanted = columns.read(names)
    windows = {name: _window(stack, path, opening, *keys, name) for name in wanted}
    items = {name: window.items() for name, window in windows.items()}
    first = wanted[0] if columns.everything else top_of(columns.text, names)
    lead = windows[first]
    try:
        while (key := next(items[first], None)) is not None:
            place = f"{lead.line}[{lead.number}]"
            for name in windows:
                if name != first and next(items[name], None) != key:
                    raise Damaged(f"column '{name}' has other rows than '{first}'")
            yield place, {name: window.value() for name, window in windows.items()}
        for name in windows:
            if next(items[name], None) is not None:
                raise Damaged(f"column '{name}' has more rows than '{first}'")
    except Damaged as error:
        yield f"{lead.line}[{lead.number}]", _unread(str(error))


def _split(stack: ExitStack, path: Path, opening: Opening, keys: Sequence[str]) -> Records:
    """`{"columns": [...], "data": [[...], ...]}`, as pandas writes with orient="split"."""
    names = [str(name) for name in _window(stack, path, opening, *keys, "columns").values()]
    need_columns(opening, 1, names)
    yield from _elements(_window(stack, path, opening, *keys, "data"), names)

"""The files of a run's folder, read once: what was read stays what it was until it is written here, or found changed by `refresh`.

Example:
    files = CachedFiles(Path("runs/phrasebank-lora"))
    files.once("data.json", lambda: files.parsed("data.json", parse_object)) is files.once("data.json", never)
    # True
"""

from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from fintune.errors import RunError, first_line
from fintune.runs.schema import problem_of
from fintune.runtime.files import write_atomically
from fintune.runtime.untrusted import LARGEST_LIST, parse_object, read_text

_T = TypeVar("_T")
_State = tuple[int, int, int] | None
"""Size, time of change and inode of a file; None where there is none."""


class CachedFiles:
    """Reads and writes the files of one folder, for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, RLock()
        self._contents: dict[str, tuple[_State, Any]] = {}

    def once(self, name: str, read: Callable[[], _T]) -> _T:
        """Return what a file holds, read when it is first asked for."""
        with self._lock:
            if name not in self._contents:
                state = self._state(name)
                self._contents[name] = state, read()
            content: _T = self._contents[name][1]
            return content

    def record(self, name: str, kind: type[_T]) -> _T:
        """Return the record in a JSON file, of the kind that schema.py checks. Raises RunError where it is missing or damaged."""
        content: Any = self.once(name, lambda: self.parsed(name, parse_object))
        record: _T = content
        return record

    def parsed(self, name: str, parse: Callable[[str], _T]) -> _T:
        """Return what a file holds, read anew. Raises RunError where it is missing or damaged."""
        place = self._folder / name
        try:
            content = parse(read_text(place, most=LARGEST_LIST))
        except FileNotFoundError as error:
            raise RunError(f"{place}: cannot be read: {error}", hint="Copy the run folder again.") from None
        except ValueError as error:
            raise RunError(f"{place}: damaged: {first_line(error)}", hint="Copy the run folder again.") from None
        if (problem := problem_of(name, content)) is not None:
            raise RunError(f"{place}: damaged: {problem}", hint="Copy the run folder again.")
        return content

    def write(self, name: str, content: str) -> None:
        """Write a text file whole or not at all."""
        with self._lock:
            write_atomically(self._folder / name, content)
            self._contents.pop(name, None)

    def refresh(self) -> None:
        """Forget files that are not those that were read: somebody else has written them."""
        with self._lock:
            for name in [name for name, (state, _) in self._contents.items() if state != self._state(name)]:
                del self._contents[name]

    def _state(self, name: str) -> _State:
        try:
            status = (self._folder / name).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ino

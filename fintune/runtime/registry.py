"""A registry: entries by name, to which files of the user's own add, and which file each of those came from.

Example:
    METHODS = Registry([LORA, FREEZE])
    METHODS.register(SCALED, origin=Path("my_method.py"))
    METHODS.origin("scaled-blocks")
    # PosixPath('my_method.py')
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """The name under which configs and commands know it."""


Entry = TypeVar("Entry", bound=Named)


class Registry(dict[str, Entry], Generic[Entry]):
    """Entries by name, in the order in which lists show them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__((entry.name, entry) for entry in entries)
        self._origins: dict[str, Path] = {}

    def register(self, entry: Entry, *, origin: Path) -> None:
        """Add what a file makes; what it made before gives way. Raises ValueError where another file, or the package, has the name."""
        if entry.name in self and self.origin(entry.name) != origin:
            raise ValueError(f"there is a '{entry.name}' already")
        self[entry.name] = entry
        self._origins[entry.name] = origin

    def origin(self, name: str) -> Path | None:
        """Return the file an entry came from; None for what is built in, or not there."""
        return self._origins.get(name)

    def origins(self) -> list[Path]:
        """Return the files that have added entries, each once, in the order in which they were read."""
        return list(dict.fromkeys(self._origins.values()))

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Forget, at the end of the block, what was registered inside it."""
        entries, origins = dict(self), dict(self._origins)
        try:
            yield
        finally:
            self.clear()
            self.update(entries)
            self._origins = origins

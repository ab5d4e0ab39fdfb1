"""A user's own methods and tasks: a Python file that makes them, named on the command line every time (`--code my_method.py`).

A run remembers no code: opening somebody's run folder must not run what lies in it.

Example:
    load_code("my_method.py")
    # ['scaled-heads']
"""

import importlib.util
import shlex
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from fintune.errors import UsageError, first_line
from fintune.methods import METHODS, Method
from fintune.runtime.signals import Stopped
from fintune.tasks import TASKS, TaskEntry
from fintune.tasks.promises import HINT, entry_problem

_read: dict[Path, None] = {}
"""Files in the order in which they were read: one may build on another."""


def load_code(path: str | Path) -> list[str]:
    """Run a file and register every Method and TaskEntry it makes; returns their names. Raises UsageError."""
    place = Path(path).resolve()
    known = {id(entry) for entry, origin in _registered() if origin != place}
    entries = [value for value in _run(place).values() if isinstance(value, Method | TaskEntry)]
    made = [entry for entry in entries if id(entry) not in known]  # others are imported, to build on
    if not made:
        raise UsageError(f"--code {path}: makes no method and no task", hint="Give it a Method: docs/extend.md.")
    for entry in made:
        try:
            if isinstance(entry, Method):
                METHODS.register(entry, origin=place)
            elif problem := entry_problem(entry):
                raise UsageError(f"--code {path}: task {entry.name}: {problem}", hint=HINT)
            else:
                TASKS.register(entry, origin=place)
        except ValueError as error:
            raise UsageError(f"--code {path}: {error}", hint="Choose another name.") from None
    _read.setdefault(place)
    return [entry.name for entry in made]


def digest_of(*, method: str, task: str) -> list[str]:
    """Return the SHA-256 of the files that made this method and this task; none for what is built in."""
    origins = METHODS.origin(method), TASKS.origin(task)
    return [sha256(origin.read_bytes()).hexdigest() for origin in origins if origin is not None]


def files() -> list[str]:
    """Return the files that are loaded, in the order in which they were read, for a process that is to know the same names."""
    registered = {*METHODS.origins(), *TASKS.origins()}
    return [str(path) for path in _read if path in registered]


def typed_code() -> str:
    """Return the options that name the files that are loaded, as a command to type goes on; nothing where there are none."""
    return "".join(f" --code {shlex.quote(path)}" for path in files())


def _registered() -> Iterator[tuple[Method | TaskEntry, Path | None]]:
    """Every entry, and the file it came from."""
    yield from ((entry, METHODS.origin(name)) for name, entry in METHODS.items())
    yield from ((entry, TASKS.origin(name)) for name, entry in TASKS.items())


def _run(place: Path) -> dict[str, object]:
    """Return the names that running a file defines."""
    if place.suffix != ".py" or not place.is_file():
        raise UsageError(f"--code {place}: no such Python file", hint="Check the path.")
    name = _module_name(place)
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module, before = importlib.util.module_from_spec(spec), sys.modules.get(name)
    sys.modules[name] = module  # its classes are found by name, by dataclasses and pydantic
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        _put_back(name, before)
        if isinstance(error, KeyboardInterrupt | Stopped):  # the user's
            raise
        raise UsageError(
            f"--code {place}: {type(error).__name__}: {first_line(error)}",
            hint="Run it with python to see where.",
        ) from error
    return vars(module)


def _put_back(name: str, module: ModuleType | None) -> None:
    """Forget a module that could not be run."""
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _module_name(place: Path) -> str:
    """Return the file's own name, by which another file may import it; one nobody else has where that is a library's."""
    return place.stem if _is_free(place) else f"fintune_code_{sha256(str(place).encode()).hexdigest()[:16]}"


def _is_free(place: Path) -> bool:
    """Whether no other module has the file's name, loaded or not: it must not take the place of a library."""
    if (module := sys.modules.get(place.stem)) is not None:
        return getattr(module, "__file__", None) == str(place)
    if not place.stem.isidentifier():
        return False
    spec = importlib.util.find_spec(place.stem)
    return spec is None or spec.origin == str(place)

"""A user's own methods and tasks: a Python file that makes them, named on the command line every time (`--code my_method.py`).

A run remembers no code: opening somebody's run folder must not run what lies in it.

>>> load_code("my_method.py")
['scaled-heads']
"""

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from fintune.errors import UsageError, first_line
from fintune.methods import METHODS, Method
from fintune.runtime.signals import Stopped
from fintune.tasks import TASKS, TaskEntry

_REGISTRIES: tuple[tuple[type[Any], dict[str, Any]], ...] = ((Method, METHODS), (TaskEntry, TASKS))
_loaded: dict[str, Path] = {}
"""file of each name that came from one"""


def load_code(path: str | Path) -> list[str]:
    """Run a file and register every Method and TaskEntry it makes; returns their names. Raises UsageError."""
    place = Path(path).resolve()
    there = {id(entry) for _, names in _REGISTRIES for name, entry in names.items() if _loaded.get(name) != place}
    found = [value for value in _run(place).values() if isinstance(value, Method | TaskEntry)]
    made = [entry for entry in found if id(entry) not in there]  # others are imported, to build on
    if not made:
        raise UsageError(f"--code {path}: makes no method and no task", hint="Give it a Method: docs/extend.md.")
    for entry in made:
        registry = next(registry for kind, registry in _REGISTRIES if isinstance(entry, kind))
        if entry.name in registry and _loaded.get(entry.name) != place:
            raise UsageError(f"--code {path}: there is a '{entry.name}' already", hint="Choose another name.")
        registry[entry.name] = entry
        _loaded[entry.name] = place
    return [entry.name for entry in made]


def digest_of(*names: str) -> list[str]:
    """SHA-256 of the files that made these methods and tasks; none for what is built in."""
    return [sha256(_loaded[name].read_bytes()).hexdigest() for name in names if name in _loaded]


def files() -> list[str]:
    """Return the files that are loaded, for a process that is to know the same names."""
    return [str(path) for path in dict.fromkeys(_loaded.values())]


def _run(place: Path) -> dict[str, Any]:
    if place.suffix != ".py" or not place.is_file():
        raise UsageError(f"--code {place}: no such Python file", hint="Check the path.")
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if _is_free(place):
        sys.modules[place.stem] = module  # its classes can be found by name
    try:
        spec.loader.exec_module(module)
    except (KeyboardInterrupt, Stopped):  # the user's
        raise
    except BaseException as error:
        raise UsageError(
            f"--code {place}: {type(error).__name__}: {first_line(error)}",
            hint="Run it with python to see where.",
        ) from error
    return vars(module)


def _is_free(place: Path) -> bool:
    """Whether no other module has the file's name, loaded or not: it must not take the place of a library."""
    if (there := sys.modules.get(place.stem)) is not None:
        return getattr(there, "__file__", None) == str(place)
    found = importlib.util.find_spec(place.stem) if place.stem.isidentifier() else None
    return found is None or found.origin == str(place)

"""What to type to install what is missing, as it works for this very installation: a checkout stands on no package index.

Example:
    with_extra("report")
    # "pip install -e '/home/you/fintune[report]'"
"""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from fintune.errors import BrokenEnvironment

_PACKAGE = Path(__file__).parents[1]


def with_extra(extra: str) -> str:
    """Return the command that adds an extra of this project's to where it is installed."""
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        return f"{pip()} install -e {_quoted(f'{_PACKAGE.parent}[{extra}]')}"
    url = _origin().get("url")
    return f"{pip()} install {_quoted(f'fintune[{extra}] @ {url}' if url else f'fintune[{extra}]')}"


def package(name: str) -> str:
    """Return the command that installs a package beside this one."""
    return f"{pip()} install {name}"


def pip() -> str:
    """`pip` where that is this Python's, else this Python with it: its folder need not be on the PATH."""
    command = shutil.which("pip")
    if command is not None and Path(command).parent == Path(sys.executable).parent:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"


def _quoted(requirement: str) -> str:
    return shlex.quote(requirement) if "'" in requirement else f"'{requirement}'"


def _origin() -> dict[str, Any]:
    """Where pip took the package from, when that was no index (PEP 610)."""
    import importlib.metadata

    try:
        text = importlib.metadata.distribution("fintune").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return {}
    origin: dict[str, Any] = json.loads(text or "{}")
    return origin


def not_installed(what: str, error: ModuleNotFoundError) -> BrokenEnvironment:
    """Return the error for something that needs a package which is not there."""
    missing = (error.name or str(error)).partition(".")[0]
    return BrokenEnvironment(f"{what}: {missing} is not installed", hint=package(missing))

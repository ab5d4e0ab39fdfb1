"""What a user is told to type.

>>> typed(Path("runs/my run"))
"'runs/my run'"
"""

import shlex
from pathlib import Path


def typed(path: str | Path) -> str:
    """Return a path as one types it in a shell."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))

"""Where the runs of one name lie: the one that stands, the finished one that waits to be replaced, the one to be gone on with.

>>> former_of(Path("runs/phrasebank-lora"))
PosixPath('runs/.phrasebank-lora.former')
"""

from pathlib import Path


def former_of(folder: Path) -> Path:
    """Where a finished run waits while another is made in its place."""
    return folder.with_name(f".{folder.name}.former")


def unfinished_of(folder: Path) -> Path:
    """Where a run waits to be gone on with while the finished run it is to replace stands in its place."""
    return folder.with_name(f".{folder.name}.unfinished")


def others_at(folder: Path) -> str:
    """Return what to name, or type, instead of a folder that is no run."""
    if former_of(folder).is_dir():
        return f"The finished run of that name lies in {former_of(folder)}; train brings it back."
    parent = folder.parent
    names = sorted(str(path.parent) for path in parent.glob("*/config.yaml"))[:5] if parent.is_dir() else []
    return f"Runs there: {', '.join(names)}." if names else "Make one with: fintune train CONFIG"

"""Runs of which version are read: those of this one.

Example:
    need_this_version(Path("runs/of-last-year"))
    # RunError: runs/of-last-year: made by FinTune 0.1.0, whose runs this FinTune does not read
"""

from importlib.metadata import version
from pathlib import Path

from fintune.errors import RunError
from fintune.runs.files import MANIFEST
from fintune.runtime.untrusted import parse_object, read_text

RUN_VERSION = 4
"""Version of what a run's files hold; runs of an earlier one are refused."""


def need_this_version(folder: Path) -> None:
    """Refuse a run that an earlier FinTune made; what is damaged or newer is told where it is read."""
    try:
        made_as = parse_object(read_text(folder / MANIFEST)).get("version")
    except FileNotFoundError:
        made_as = 0 if _maker(folder) != version("fintune") else None  # the first versions wrote none
    except (OSError, ValueError):
        return
    maker = _maker(folder)
    if isinstance(made_as, int) and made_as < RUN_VERSION and maker:
        raise RunError(
            f"{folder}: made by FinTune {maker}, whose runs this FinTune does not read",
            hint=f"Train it again with this version, or open it with {maker}.",
        )


def _maker(folder: Path) -> str | None:
    """Return the version of the FinTune that wrote a run; None where it does not say."""
    try:
        packages = parse_object(read_text(folder / "environment.json")).get("packages")
    except (OSError, ValueError):
        return None
    maker = packages.get("fintune") if isinstance(packages, dict) else None
    return str(maker) if maker else None


def need_begun_by_this(folder: Path) -> None:
    """Refuse to go on with a run that another FinTune began: what its checkpoints hold is that one's."""
    maker = _maker(folder)
    if maker and maker != (own := version("fintune")):
        raise RunError(
            f"{folder}: begun by FinTune {maker}, and this is {own}",
            hint=f"Begin anew with --overwrite, or go on with {maker}.",
        )

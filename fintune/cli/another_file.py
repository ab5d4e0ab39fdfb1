"""A run opened to read another file than its own: `--set data.key=value` says how that is read, other settings what the run is.

One way for evaluate, predict and explain.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fintune.cli.output import working

if TYPE_CHECKING:
    from fintune.data.settings import DataSection
    from fintune.inference.open import Trained


def opened_to_read(
    run: str | Path, file: str | None, settings: Sequence[str] | None, *, base: str | None, task: str | None
) -> "tuple[Trained, DataSection | None]":
    """Return what was trained, and how `file` is read; None: as in training, or no file. Raises FintuneError's kinds.

    An adapter alone says nothing of its data: there all settings are its own.
    """
    from fintune.config.load import of_another_file
    from fintune.inference.open import open_trained, says_itself

    given = list(settings or ())
    of_file = [one for one in given if file is not None and one.startswith("data.") and says_itself(run)]
    with working():
        opened = open_trained(run, base=base, task=task, overrides=[one for one in given if one not in of_file])
        return opened, of_another_file(opened.config(), of_file) if of_file else None

"""Rows that stand in one table were trained and scored on the same split.

Example:
    need_same_data(runs)
    # '5f0c31aa9d2b7e41'
"""

from collections.abc import Sequence

from fintune.errors import RunError
from fintune.runs.run import Run


def need_same_data(runs: Sequence[Run]) -> str:
    """Return the fingerprint that all runs share. Raises RunError when they were not trained and scored on the same split."""
    prints = {run.folder: str(run.data()["fingerprint"]) for run in runs}
    first = next(iter(prints))
    for folder, fingerprint in prints.items():
        if fingerprint != prints[first]:
            raise RunError(
                f"{folder}: other data or another split ({fingerprint}) than {first} ({prints[first]})",
                hint="Compare runs of one fingerprint: the same files, clean-up and split.",
            )
    return prints[first]

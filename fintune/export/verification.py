"""Whether an exported model is the one that was evaluated: its answers on the run's validation texts beside those stored.

>>> found = compare(expected, answers)
>>> found.changed, found.largest_difference
(0, 2.4e-07)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from fintune.errors import ModelError
from fintune.records import Prediction

EXACT, ROUNDED = 1e-4, 1e-2
"""by how much a probability may differ: of the very weights, and of weights in half precision"""
AGREEMENT = 0.995
"""share of the validation texts that must keep their label where weights are rounded"""


@dataclass(frozen=True)
class Verification:
    """What was found; probabilities are over the task's labels."""

    texts: int
    changed: int
    """texts with another label than the run gave them"""
    largest_difference: float
    """of a probability"""
    accuracy: float
    accuracy_of_run: float

    @property
    def agreement(self) -> float:
        """Share of the texts that keep their label."""
        return 1 - self.changed / self.texts

    def record(self) -> dict[str, Any]:
        """For verification.json."""
        return asdict(self) | {"agreement": self.agreement}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Verification":
        """The opposite."""
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def compare(stored: Sequence[Prediction], found: Sequence[Prediction]) -> Verification:
    """The run's answers beside the exported model's, text by text."""
    was, now = (np.array([list(p.probabilities.values()) for p in side]) for side in (stored, found))
    right = [[p.label == s.gold for p, s in zip(side, stored, strict=True)] for side in (stored, found)]
    return Verification(
        texts=len(stored),
        changed=sum(a.label != b.label for a, b in zip(stored, found, strict=True)),
        largest_difference=float(np.abs(was - now).max()),
        accuracy=float(np.mean(right[1])),
        accuracy_of_run=float(np.mean(right[0])),
    )


def need_equal(found: Verification, tolerance: float | None, what: str, *, allow_loss: bool) -> None:
    """Raise ModelError when a probability differs by more than `tolerance`, or with None when too many labels change.

    But for EXACT, weights were rounded, which may cost that much: `allow_loss` accepts it.
    """
    if tolerance is None:
        kept = found.agreement >= AGREEMENT and math.isfinite(found.largest_difference)
        lost = "" if kept else f"{AGREEMENT:.1%} of the labels must stay"
    else:
        close = not found.changed and found.largest_difference <= tolerance
        lost = "" if close else f"All labels must stay, and no probability differ by more than {tolerance:g}"
    if not lost or (allow_loss and tolerance != EXACT):
        return
    found_of_it = (
        f"{found.changed} of {found.texts} validation texts get another label, and a probability differs by up to "
        f"{found.largest_difference:.2g}"
    )
    if tolerance == EXACT:
        raise ModelError(
            f"{what}: not the model that was evaluated: {found_of_it} (allowed: {tolerance:g})",
            hint="Nothing was written. Please report it with the run's config.yaml.",
        )
    raise ModelError(
        f"{what}: {found_of_it}", hint=f"{lost}. Use another format or --dtype, or accept it with --allow-loss."
    )

"""Whether a rebuilt model is the one that was evaluated: its answers on the run's validation texts beside those stored.

Exports, merged weights and quick engines are all compared here, so that a changed label means the same everywhere.

>>> found = compare(expected, answers, EXACT)
>>> found.changed, found.near_ties, found.largest_difference
(0, 1, 2.4e-07)
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
    """texts with another label than the run gave them, by more than a probability may differ"""
    largest_difference: float
    """of a probability"""
    accuracy: float | None
    """None where no labels are known"""
    accuracy_of_run: float | None
    near_ties: int = 0
    """texts with another label that the run's own led by no more than a probability may differ: not counted as changed"""

    @property
    def agreement(self) -> float:
        """Share of the texts that keep their label."""
        return 1 - self.changed / self.texts

    def said(self) -> str:
        """Return the labels, in words."""
        ties = f" (of {self.near_ties} more, two labels are as good as equal)" if self.near_ties else ""
        return f"{self.changed} of {self.texts} texts get another label{ties}"

    def record(self) -> dict[str, Any]:
        """For verification.json."""
        return asdict(self) | {"agreement": self.agreement}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Verification":
        """Return the opposite."""
        return cls(**{field.name: record[field.name] for field in fields(cls) if field.name in record})


def compare(stored: Sequence[Prediction], found: Sequence[Prediction], tolerance: float | None) -> Verification:
    """Return the run's answers beside the rebuilt model's, text by text; `tolerance` as in `need_equal`, None: of half precision."""
    labels = list(stored[0].probabilities)
    was, now = (np.array([[p.probabilities[label] for label in labels] for p in side]) for side in (stored, found))
    leads = [_lead(s, f.label) for s, f in zip(stored, found, strict=True) if s.label != f.label]
    near = sum(lead <= (ROUNDED if tolerance is None else tolerance) for lead in leads)
    return Verification(
        texts=len(stored),
        changed=len(leads) - near,
        largest_difference=float(np.abs(was - now).max()),
        accuracy=_accuracy(found, stored),
        accuracy_of_run=_accuracy(stored, stored),
        near_ties=near,
    )


def _accuracy(answers: Sequence[Prediction], known: Sequence[Prediction]) -> float | None:
    if any(one.gold is None for one in known):
        return None
    return float(np.mean([p.label == s.gold for p, s in zip(answers, known, strict=True)]))


def _lead(stored: Prediction, label: str | None) -> float:
    """By how much the stored answer's probability passes that of another label."""
    return stored.confidence - stored.probabilities[label] if label is not None else math.inf


def need_equal(
    found: Verification, tolerance: float | None, what: str, *, allow_loss: bool, rescore: str | None = None
) -> None:
    """Raise ModelError when a probability differs by more than `tolerance`, or with None when too many labels change.

    But for EXACT, weights were rounded, which may cost that much: `allow_loss` accepts it. `rescore` is the command that has the
    answers stored anew where another machine or version may have given them.
    """
    if tolerance is None:
        kept = found.agreement >= AGREEMENT and math.isfinite(found.largest_difference)
        lost = "" if kept else f"{AGREEMENT:.1%} of the labels must stay"
    else:
        close = not found.changed and found.largest_difference <= tolerance
        lost = "" if close else f"All labels must stay, and no probability differ by more than {tolerance:g}"
    if not lost or (allow_loss and tolerance != EXACT):
        return
    found_of_it = f"{found.said()}, and a probability differs by up to {found.largest_difference:.2g}"
    if tolerance != EXACT:
        raise ModelError(
            f"{what}: {found_of_it}", hint=f"{lost}. Use another format or --dtype, or accept it with --allow-loss."
        )
    hint = "Please report it with the run's config.yaml."
    if rescore is not None:
        hint = f"If another machine or version scored the run, have this one do it, then try again: {rescore}"
    raise ModelError(
        f"{what}: not the model that was evaluated: {found_of_it} (allowed: {tolerance:g})",
        hint=f"Nothing was written. {hint}",
    )

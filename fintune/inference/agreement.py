"""Whether a rebuilt model is the one that was evaluated: its answers on the run's validation texts beside those stored.

Exports, merged weights and quick engines are all compared here, so that a changed label means the same everywhere. How much may
differ is decided by `need_equal` for exports, by `proof.proved` for a run that is opened, by `open.py` for a quick engine.

>>> verification = compare(expected, answers, EXACT)
>>> verification.changed, verification.near_ties, verification.largest_difference
(0, 1, 2.4e-07)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fintune.errors import ModelError
from fintune.records import Prediction
from fintune.runs.export_schema import VerificationRecord

EXACT, ROUNDED = 1e-4, 1e-2
"""By how much a probability may differ: of the very weights, and of weights in half precision."""
ONE_LABEL = 0.1
"""By how much a probability may differ where weights are rounded and the run gives all texts one label, which any model keeps."""
AGREEMENT = 0.995
"""Share of the validation texts that must keep their label where weights are rounded."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a rebuilt model's answers stand to those that were stored; probabilities are over the task's labels."""

    texts: int
    changed: int
    """Texts with another label than the run gave them, by more than a probability may differ."""
    largest_difference: float
    """The largest difference of a probability."""
    accuracy: float | None
    """Accuracy of the rebuilt model; None where no labels are known."""
    accuracy_of_run: float | None
    """Accuracy of the stored answers on the same texts."""
    one_label: bool = False
    """Whether the run gives all texts the same label."""
    near_ties: int = 0
    """Texts with another label that the run's own led by no more than a probability may differ: not counted as changed."""

    @property
    def agreement(self) -> float:
        """The share of the texts that keep their label."""
        return 1 - self.changed / self.texts

    def in_words(self) -> str:
        """Return how many labels changed, as a sentence has it."""
        ties = f" (of {self.near_ties} more, two labels are as good as equal)" if self.near_ties else ""
        return f"{self.changed} of {self.texts} texts get another label{ties}"

    def record(self) -> VerificationRecord:
        """Return it as verification.json has it."""
        return {
            "texts": self.texts,
            "changed": self.changed,
            "largest_difference": self.largest_difference,
            "accuracy": self.accuracy,
            "accuracy_of_run": self.accuracy_of_run,
            "near_ties": self.near_ties,
            "one_label": self.one_label,
            "agreement": self.agreement,
        }

    @classmethod
    def of(cls, record: VerificationRecord) -> "Verification":
        """Return what a record holds."""
        return cls(
            texts=record["texts"],
            changed=record["changed"],
            largest_difference=record["largest_difference"],
            accuracy=record["accuracy"],
            accuracy_of_run=record["accuracy_of_run"],
            near_ties=record.get("near_ties", 0),
            one_label=record.get("one_label", False),
        )


def compare(stored: Sequence[Prediction], answers: Sequence[Prediction], tolerance: float | None) -> Verification:
    """Return how the rebuilt model's answers stand to the run's, text by text; `tolerance` as in `need_equal`, None: of half precision."""
    labels = list(stored[0].probabilities)
    was, now = (np.array([[p.probabilities[label] for label in labels] for p in side]) for side in (stored, answers))
    leads = [_lead(s, a.label) for s, a in zip(stored, answers, strict=True) if s.label != a.label]
    near = sum(lead <= (ROUNDED if tolerance is None else tolerance) for lead in leads)
    return Verification(
        texts=len(stored),
        changed=len(leads) - near,
        largest_difference=float(np.abs(was - now).max()),
        accuracy=_accuracy(answers, stored),
        accuracy_of_run=_accuracy(stored, stored),
        one_label=len({s.label for s in stored}) == 1,
        near_ties=near,
    )


def _accuracy(answers: Sequence[Prediction], known: Sequence[Prediction]) -> float | None:
    if any(one.gold is None for one in known):
        return None
    return float(np.mean([p.label == s.gold for p, s in zip(answers, known, strict=True)]))


def _lead(stored: Prediction, label: str | None) -> float:
    """Return by how much the stored answer's probability passes that of another label."""
    return stored.confidence - stored.probabilities[label] if label is not None else math.inf


def need_equal(
    verification: Verification, tolerance: float | None, what: str, *, allow_loss: bool, rescore: str | None = None
) -> None:
    """Raise ModelError when a probability differs by more than `tolerance`, or with None when too many labels change.

    But for EXACT, weights were rounded, which may cost that much: `allow_loss` accepts it. `rescore` is the command that has the
    answers stored anew where another machine or version may have given them.
    """
    if tolerance is None:
        lost = _lost_by_rounding(verification)
    else:
        close = not verification.changed and verification.largest_difference <= tolerance
        lost = "" if close else f"All labels must stay, and no probability differ by more than {tolerance:g}"
    if not lost or (allow_loss and tolerance != EXACT):
        return
    difference = f"{verification.in_words()}, and a probability differs by up to {verification.largest_difference:.2g}"
    if tolerance != EXACT:
        raise ModelError(
            f"{what}: {difference}", hint=f"{lost}. Use another format or --dtype, or accept it with --allow-loss."
        )
    hint = "Please report it with the run's config.yaml."
    if rescore is not None:
        hint = f"If another machine or version scored the run, have this one do it, then try again: {rescore}"
    raise ModelError(
        f"{what}: not the model that was evaluated: {difference} (allowed: {tolerance:g})",
        hint=f"Nothing was written. {hint}",
    )


def _lost_by_rounding(verification: Verification) -> str:
    """Return what labels that decide have lost; empty where they stayed and say something."""
    difference = verification.largest_difference
    if verification.agreement < AGREEMENT or not math.isfinite(difference):
        return f"{AGREEMENT:.1%} of the labels must stay"
    if verification.one_label and difference > ONE_LABEL:
        return f"The run gives every text one label, which proves nothing: no probability may differ by more than {ONE_LABEL:g}"
    return ""

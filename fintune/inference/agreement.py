"""Whether a rebuilt model is the one that was evaluated: its answers on the run's validation texts beside those stored.

Exports, merged weights and quick engines are all compared here, so that a changed label means the same everywhere. How much may
differ is decided by `need_equal` for exports, by `proof.proved` for a run that is opened, by `open.py` for a quick engine.

Example:
    verification = compare(task, expected, answers, EXACT)
    verification.changed, verification.near_ties, verification.largest_difference
    # (0, 1, 2.4e-07)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fintune.errors import ModelError
from fintune.records import Answer, Prediction
from fintune.runs.export_schema import VerificationRecord
from fintune.tasks import Task

EXACT, ROUNDED = 1e-4, 1e-2
"""By how much a probability may differ: of the very weights, and of weights in half precision."""
ONE_LABEL = 0.1
"""By how much a probability may differ where weights are rounded and the run gives all texts one label, which any model keeps."""
AGREEMENT = 0.995
"""Share of the validation texts that must keep their label where weights are rounded."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a rebuilt model's answers stand to those that were stored; probabilities are over the task's choices."""

    texts: int
    changed: int
    """Texts with another answer than the run gave them, by more than a probability may differ."""
    largest_difference: float
    """The largest difference of a probability; 0 where answers are written."""
    metric: str
    """What `score` and `score_of_run` are of."""
    score: float | None
    """How good the rebuilt model is; None where no gold answers are known."""
    score_of_run: float | None
    """How good the stored answers are on the same texts."""
    one_label: bool = False
    """Whether the run gives all texts the same answer."""
    near_ties: int = 0
    """Texts with another answer that the run's own led by no more than a probability may differ: not counted as changed."""

    @property
    def agreement(self) -> float:
        """The share of the texts that keep their answer."""
        return 1 - self.changed / self.texts

    def in_words(self) -> str:
        """Return how many labels changed, as a sentence has it."""
        ties = f" (of {self.near_ties} more, two answers are as good as equal)" if self.near_ties else ""
        return f"{self.changed} of {self.texts} texts get another answer{ties}"

    def record(self) -> VerificationRecord:
        """Return it as verification.json has it."""
        return {
            "texts": self.texts,
            "changed": self.changed,
            "largest_difference": self.largest_difference,
            "metric": self.metric,
            "score": self.score,
            "score_of_run": self.score_of_run,
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
            metric=record["metric"],
            score=record["score"],
            score_of_run=record["score_of_run"],
            near_ties=record.get("near_ties", 0),
            one_label=record.get("one_label", False),
        )


def compare(
    task: Task, stored: Sequence[Prediction], answers: Sequence[Prediction], tolerance: float | None
) -> Verification:
    """Return how the rebuilt model's answers stand to the run's, text by text; `tolerance` as in `need_equal`, None: of half precision."""
    pairs = list(zip(stored, answers, strict=True))
    leads = [_lead(was, now) for was, now in pairs if _said(was) != _said(now)]
    near, metric = sum(lead <= (ROUNDED if tolerance is None else tolerance) for lead in leads), task.tested[0]
    return Verification(
        texts=len(stored),
        changed=len(leads) - near,
        largest_difference=float(np.max([_difference(was, now) for was, now in pairs])),
        metric=metric,
        score=_score(task, [replace(now, gold=was.gold) for was, now in pairs], metric),
        score_of_run=_score(task, stored, metric),
        one_label=len({_said(was) for was in stored}) == 1,
        near_ties=near,
    )


def _score(task: Task, predictions: Sequence[Prediction], metric: str) -> float | None:
    if any(one.gold is None for one in predictions):
        return None
    return float(task.score(predictions, np.ones((1, len(predictions))))[metric][0])


def _said(prediction: Prediction) -> Answer | None:
    """Return the answer, where it is written or a choice; else the likeliest choice, as numbers between are never alike to the last bit."""
    shares = prediction.probabilities
    if not shares or prediction.answer is None or prediction.answer in shares:
        return prediction.answer
    return max(shares, key=lambda name: shares[name])


def _lead(was: Prediction, now: Prediction) -> float:
    """Return by how much the stored answer's probability passes that of another answer."""
    shares = was.probabilities
    return shares.get(str(_said(was)), 0.0) - shares.get(str(_said(now)), -math.inf)


def _difference(was: Prediction, now: Prediction) -> float:
    """Return the largest difference of a probability; one that is no number counts as such."""
    differences = [abs(share - now.probabilities[name]) for name, share in was.probabilities.items()]
    return float(np.max(differences)) if differences else 0.0


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
        lost = "" if close else f"All answers must stay, and no probability differ by more than {tolerance:g}"
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
        return f"{AGREEMENT:.1%} of the answers must stay"
    if verification.one_label and difference > ONE_LABEL:
        return f"The run gives every text one answer, which proves nothing: no probability may differ by more than {ONE_LABEL:g}"
    return ""

"""Labels that other rows contradict: a list to review, never a reason to drop.

Confident learning (Northcutt, Jiang & Chuang 2021): out-of-fold probabilities of a linear TF-IDF model; a row is suspicious when
another label's probability reaches that label's own average confidence and exceeds the given label's. Where that model tells
the labels no better than chance it contradicts at random, and nothing is listed.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fintune.records import Example, strata
from fintune.runtime.progress import tell
from fintune.runtime.scripts import lacks_blanks

FOLDS = 5
_MANY, _ITERATIONS = 200, 25
"""Texts from which on pieces that stand in one alone are left out, and steps of the model."""
MOST_REVIEWED = 10_000
"""Most rows that are looked at; of more, a seeded sample is."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A row whose label the others contradict."""

    id: str
    label: str
    rather: str
    probability: float
    text: str


@dataclass(frozen=True)
class Review:
    """The rows to look at, the most doubtful first; none where counting words tells the labels no better than chance."""

    rows: list[Suspicion] = field(default_factory=list)
    recall: float = 0.0
    """Share of each label's rows that counting words gets right, out of fold, averaged over labels."""
    chance: float = 0.0
    """The same share as guessing gets it."""
    tells: bool = False
    """Whether recall lies two standard errors above chance."""
    looked_at: int = 0


def review(examples: Sequence[Example], *, seed: int = 0) -> Review:
    """Labels that out-of-fold predictions contradict. Labels with fewer than FOLDS rows are left out of it."""
    chosen = _enough(_sample(examples, seed))
    labels = np.array([str(e.stratum) for e in chosen])
    if len(set(labels.tolist())) < 2:
        return Review()
    tell("check", f"reviewing the labels of {len(chosen):,} rows")
    probability = _out_of_fold([e.text for e in chosen], labels, seed)
    names = np.unique(labels)
    classes = np.searchsorted(names, labels)
    recall, error = _recall(probability.argmax(axis=1), classes, len(names))
    if recall <= 1 / len(names) + 2 * error:
        return Review(recall=recall, chance=1 / len(names), looked_at=len(chosen))
    own = probability[np.arange(len(classes)), classes]
    bar = np.array([own[classes == k].mean() for k in range(len(names))])
    confident = np.where(probability >= bar, probability, 0.0)
    best = confident.argmax(axis=1)
    doubt = confident.max(axis=1) - own
    order = [i for i in np.argsort(-doubt) if doubt[i] > 0 and best[i] != classes[i]]
    rows = [
        Suspicion(
            id=chosen[i].id,
            label=str(chosen[i].stratum),
            rather=str(names[best[i]]),
            probability=float(probability[i, best[i]]),
            text=chosen[i].text,
        )
        for i in order
    ]
    return Review(rows=rows, recall=recall, chance=1 / len(names), tells=True, looked_at=len(chosen))


def _recall(answers: "NDArray[np.int64]", classes: "NDArray[np.int64]", labels: int) -> tuple[float, float]:
    """Recall averaged over labels, and its standard error."""
    shares = np.array([(answers[classes == k] == k).mean() for k in range(labels)])
    errors = shares * (1 - shares) / np.bincount(classes, minlength=labels)
    return float(shares.mean()), float(np.sqrt(errors.sum()) / labels)


def _sample(examples: Sequence[Example], seed: int) -> list[Example]:
    if len(examples) <= MOST_REVIEWED:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), MOST_REVIEWED, replace=False)
    return [examples[i] for i in np.sort(chosen).tolist()]


def _enough(examples: Sequence[Example]) -> list[Example]:
    counts = strata(examples)
    return [e for e in examples if e.stratum is not None and counts[e.stratum] >= FOLDS]


def _out_of_fold(texts: Sequence[str], labels: "NDArray[np.str_]", seed: int) -> "NDArray[np.float64]":
    """Return what a linear model of counts that has not seen a row gives each label, `(rows, labels)`.

    Texts are counted once, whatever the fold, and the model stops early: a quarter of the time, and as many planted errors found
    (docs/log/2026-11.md).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    rare = 2 if len(texts) >= _MANY else 1
    counts = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(1 if lacks_blanks(texts) else 2, 4),
        sublinear_tf=True,
        min_df=rare,
        max_features=20_000,
    ).fit_transform(texts)
    model = LogisticRegression(C=10.0, max_iter=_ITERATIONS, class_weight="balanced")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():  # several threads on so little only wait for each other
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: NDArray[np.float64] = cross_val_predict(model, counts, labels, cv=folds, method="predict_proba")
    return found

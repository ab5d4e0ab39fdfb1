"""Labels that other rows contradict: a list to review, never a reason to drop.

Confident learning (Northcutt, Jiang & Chuang 2021): out-of-fold probabilities of a linear TF-IDF model; a row is suspicious when
another label's probability reaches that label's own average confidence and exceeds the given label's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fintune.records import Example

FOLDS = 5
LARGEST = 10_000
"""rows looked at; of more, a seeded sample"""


@dataclass(frozen=True)
class Suspicion:
    """A row whose label the others contradict."""

    id: str
    label: str
    rather: str
    probability: float
    text: str


def suspicious(examples: Sequence[Example], *, seed: int = 0) -> list[Suspicion]:
    """The most doubtful first. Labels with fewer than FOLDS rows are left out of it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    chosen = _enough(_sample(examples, seed))
    labels = np.array([e.label for e in chosen])
    if len(set(labels.tolist())) < 2:
        return []
    model = make_pipeline(_counts(), LogisticRegression(C=10.0, max_iter=1000, class_weight="balanced"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):  # several threads on so little only wait for each other
        probability = cross_val_predict(model, [e.text for e in chosen], labels, cv=folds, method="predict_proba")
    names = np.unique(labels)
    given = np.searchsorted(names, labels)
    own = probability[np.arange(len(given)), given]
    bar = np.array([own[given == k].mean() for k in range(len(names))])
    confident = np.where(probability >= bar, probability, 0.0)
    best = confident.argmax(axis=1)
    doubt = confident.max(axis=1) - own
    order = [i for i in np.argsort(-doubt) if doubt[i] > 0 and best[i] != given[i]]
    return [
        Suspicion(chosen[i].id, chosen[i].label, str(names[best[i]]), float(probability[i, best[i]]), chosen[i].text)
        for i in order
    ]


def _sample(examples: Sequence[Example], seed: int) -> list[Example]:
    if len(examples) <= LARGEST:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), LARGEST, replace=False)
    return [examples[i] for i in np.sort(chosen).tolist()]


def _enough(examples: Sequence[Example]) -> list[Example]:
    counts: dict[str, int] = {}
    for e in examples:
        counts[e.label] = counts.get(e.label, 0) + 1
    return [e for e in examples if counts[e.label] >= FOLDS]


def _counts() -> object:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=50_000)

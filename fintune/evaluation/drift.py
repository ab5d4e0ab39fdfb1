"""Whether new texts are like those a run was made of: shares of its answers, lengths, words it has not seen, distance of the texts.

Each test has an effect size and a p-value, corrected for their number; all compare with rows that the model has not learned from.

Example:
    drift(Traits.of(reference, words), Traits.of(new, words)).alarm
    # False
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fintune.data.quality.duplicates import shingles
from fintune.evaluation.significance import holm
from fintune.records import Prediction
from fintune.tasks.arrays import Floats, Ints

FEWEST_TEXTS = 30
"""Texts below which nothing is tested."""
MOST_TEXTS = 2000
"""Texts of either side that distances are taken of."""
EFFECTS = {
    "labels": "share of answers that would have to change (total variation distance)",
    "length": "largest distance of the two distributions of length (Kolmogorov-Smirnov)",
    "vocabulary": "the same of the share of words that are not in train",
    "distance": "energy distance of words and pairs of words",
}
"""What the effect of each test is."""
_PERMUTATIONS = 499
_FEATURES = 1 << 12
"""Number of places that words are hashed to."""


@dataclass(frozen=True, kw_only=True)
class DriftTest:
    """One way in which texts may have become others."""

    name: str
    effect: float
    """How far: what of, the test's summary says."""
    p: float
    """Of no change, corrected for the number of tests (Holm)."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What tests say of new texts."""

    reference: int
    new: int
    level: float
    tests: Sequence[DriftTest]

    @property
    def alarm(self) -> bool:
        """Whether any test finds a change at the level."""
        return any(test.p <= self.level for test in self.tests)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is compared of texts and the answers to them, `(n,)` each."""

    answers: Sequence[str]
    lengths: Floats
    """In characters."""
    unseen: Floats
    """Share of words in each text that the train part lacks."""
    vectors: Floats
    """`(at most MOST_TEXTS, features)`, as `features` makes them."""

    @classmethod
    def of(cls, predictions: Sequence[Prediction], vocabulary: frozenset[str]) -> "Traits":
        """Return those of answered texts."""
        chosen = np.random.default_rng(0).permutation(len(predictions))[:MOST_TEXTS]
        return cls(
            answers=[str(p.answer) for p in predictions],
            lengths=np.array([len(p.text) for p in predictions], dtype=float),
            unseen=np.array([_share([word not in vocabulary for word in _words(p.text)]) for p in predictions]),
            vectors=features(predictions[i].text for i in np.sort(chosen).tolist()),
        )


def drift(reference: Traits, new: Traits, *, level: float = 0.05, seed: int = 0) -> Drift:
    """Return how answers to new texts, and the texts, differ from those to texts like the run's own."""
    results = {
        "labels": _shares(reference.answers, new.answers),
        "length": _distributions(reference.lengths, new.lengths),
        "vocabulary": _distributions(reference.unseen, new.unseen),
        "distance": energy_test(reference.vectors, new.vectors, seed=seed),
    }
    corrected = holm([p for _, p in results.values()])
    tests = [
        DriftTest(name=name, effect=effect, p=p)
        for (name, (effect, _)), p in zip(results.items(), corrected, strict=True)
    ]
    return Drift(reference=len(reference.answers), new=len(new.answers), level=level, tests=tests)


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of texts, as they are counted."""
    return frozenset(word for text in texts for word in _words(text))


def _shares(before: Sequence[str], after: Sequence[str]) -> tuple[float, float]:
    """Return the total variation distance of two sets of labels, and p of a chi-square test of homogeneity."""
    from scipy.stats import chi2_contingency

    names = sorted({*before, *after})
    counts = np.array([[side[name] for name in names] for side in map(Counter, (before, after))])
    apart = float(np.abs(counts[0] / len(before) - counts[1] / len(after)).sum() / 2)
    return apart, float(chi2_contingency(counts, correction=False).pvalue) if len(names) > 1 else 1.0


def _distributions(before: Floats, after: Floats) -> tuple[float, float]:
    """Return the largest distance of two distribution functions, and its p (Kolmogorov & Smirnov)."""
    from scipy.stats import ks_2samp

    tested = ks_2samp(before, after, method="asymp")
    return float(tested.statistic), float(tested.pvalue)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _words(text: str) -> list[str]:
    """Return the distinct words of a text, numbers as 0: the shingles of one word."""
    return [shingle for shingle in sorted(shingles(text)) if " " not in shingle]


def features(texts: Iterable[str]) -> Floats:
    """Return texts as vectors of length 1, `(n, features)`: their words and pairs of words, hashed."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(analyzer=lambda text: sorted(shingles(text)), n_features=_FEATURES, norm="l2")
    vectors: Floats = hashing.transform(list(texts)).toarray()
    return vectors


def energy_test(before: Floats, after: Floats, *, seed: int = 0) -> tuple[float, float]:
    """Return the energy distance of two samples of vectors `(n, features)`, and its p by permutation of the pooled rows.

    At most MOST_TEXTS of each side, drawn at random (Szekely & Rizzo 2004; the null is of rows that changed sides).
    """
    random = np.random.default_rng(seed)
    sides = [side[random.permutation(len(side))[:MOST_TEXTS]] for side in (before, after)]
    pooled, n = np.concatenate(sides), len(sides[0])
    distances = np.sqrt(np.maximum(2 - 2 * pooled @ pooled.T, 0)) if len(pooled) else pooled
    np.fill_diagonal(distances, 0)
    orders = [np.arange(len(pooled)), *(random.permutation(len(pooled)) for _ in range(_PERMUTATIONS))]
    measured = _energies(distances, np.array(orders), n)
    return float(measured[0]), float((measured >= measured[0] - 1e-12).mean())


def _energies(distances: Floats, orders: Ints, n: int) -> Floats:
    """Return the energy distance of the first n rows of each order from the others, `(orders,)`."""
    first = np.zeros((len(distances), len(orders)))
    np.put_along_axis(first, orders[:, :n].T, 1.0, axis=0)
    rest, m = 1 - first, len(distances) - n
    reached = distances @ first
    within = (first * reached).sum(axis=0) / n**2
    across = (rest * reached).sum(axis=0) / (n * m)
    other = (distances.sum() - 2 * (rest * reached).sum(axis=0) - (first * reached).sum(axis=0)) / m**2
    energies: Floats = 2 * across - within - other
    return energies

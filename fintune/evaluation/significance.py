"""Whether a difference between methods is real: intervals over seeds and examples, paired tests, Holm's correction, groups.

Pure functions. A row of a comparison is what each of its runs, one a seed, answered on the same n examples.

Example:
    rows = resample(task, {"lora": lora, "ia3": ia3}, resamples=10_000)
    difference(rows["lora"], rows["ia3"], task.headline[0], n=226)
    # Difference(score=Score(value=0.013, low=-0.009, high=0.035, n=226), p=0.27)
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fintune.records import Prediction, Score
from fintune.tasks import Task
from fintune.tasks.arrays import Bools, Floats, Ints
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import bootstrap_blocks, have_several, joined, rows_at_a_time, rows_of

FEWEST_ROWS = 10
"""Rows from which on a bootstrap is believed: of noise alone it tells eight apart in 3 % of cases, five in 18 %, one always."""
RunAnswers = Sequence[Sequence[Prediction]]
"""What the runs of a row, one a seed, answered on the same examples in the same order."""


@dataclass(frozen=True)
class Resampled:
    """The metrics of a row on the sample itself (position 0) and on each resample of examples: `(seeds, 1 + resamples)`."""

    series: Mapping[str, Floats]

    def over_seeds(self, metric: str, seed: int) -> Floats:
        """Return the metric's mean over seeds, `(1 + resamples,)`; in each resample the seeds are drawn anew as well.

        Crossed resampling of seeds and examples: Owen 2007, "The pigeonhole bootstrap". Deviations of the drawn seeds from all
        are widened by sqrt(S / (S - 1)), since a few seeds vary too little about their own mean (Davison & Hinkley 1997, 3.2).
        """
        values = self.series[metric]
        seeds, size = values.shape
        mean: Floats = values.mean(axis=0)
        if seeds == 1:
            return mean
        drawn = np.random.default_rng(seed).integers(0, seeds, size=(seeds, size))
        deviation: Floats = np.take_along_axis(values, drawn, axis=0).mean(axis=0) - mean
        deviation[0] = 0.0
        widened: Floats = mean + np.sqrt(seeds / (seeds - 1)) * deviation
        return widened


@dataclass(frozen=True)
class Difference:
    """By how much one row is better than another in a metric, with its interval, and the p-value of there being no difference."""

    score: Score
    p: float


def resample(task: Task, rows: Mapping[str, RunAnswers], *, resamples: int, seed: int = 0) -> dict[str, Resampled]:
    """Return all rows on the same resamples of the examples, in the task's headline and tested metrics.

    Examples that every run answers alike are one kind, and a resample is a draw of how often each kind occurs (multinomial): the
    same distribution as drawing example by example, at a cost that hardly grows with n where answers are few. Where rows of the
    data hold several examples, whole rows are drawn, one by one.
    """
    runs = [run for row in rows.values() for run in row]
    names, together = tuple(dict.fromkeys([*task.headline, *task.tested])), rows_of(runs[0])
    if have_several(together):
        return {
            name: _resampled(task, row, bootstrap_blocks(together, resamples, seed), names)
            for name, row in rows.items()
        }
    members = alike(runs)
    counts, places = np.array([len(own) for own in members]), [own[0] for own in members]
    return {
        name: _resampled(task, [[run[i] for i in places] for run in row], _weights(counts, resamples, seed), names)
        for name, row in rows.items()
    }


def alike(runs: RunAnswers) -> list[list[int]]:
    """Return places of examples in kinds: those that every run answers alike."""
    kinds: dict[tuple[tuple[bool, str], ...], list[int]] = {}
    for i in range(len(runs[0])):
        answers = (runs[0][i].gold, *(run[i].answer for run in runs))
        kinds.setdefault(tuple((answer is not None, str(answer)) for answer in answers), []).append(i)
    return [kinds[kind] for kind in sorted(kinds)]


def _weights(counts: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each kind occurs, in the sample and in resamples, some draws at a time."""
    random, n, rows = np.random.default_rng(seed), int(counts.sum()), rows_at_a_time(len(counts))
    yield counts[None].astype(float)
    for start in range(0, resamples, rows):
        yield random.multinomial(n, counts / n, size=min(rows, resamples - start)).astype(float)


def _resampled(task: Task, row: RunAnswers, draws: Iterator[Floats], names: Sequence[str]) -> Resampled:
    parts = [[task.score(run, weights) for run in row] for weights in draws]
    metrics = [joined(part[seed] for part in parts) for seed in range(len(row))]
    return Resampled({name: np.array([of_seed[name] for of_seed in metrics]) for name in names})


def interval(row: Resampled, metric: str, *, n: int, confidence: float = 0.95, seed: int = 1) -> Score:
    """Return the mean over seeds and its percentile interval over seeds and examples (see Resampled.over_seeds)."""
    values, bounds = row.over_seeds(metric, seed), metric_of(metric)
    low, high = _percentiles(np.clip(values, bounds.low, bounds.high), confidence)
    return Score(value=float(values[0]), low=low, high=high, n=n)


def difference(
    a: Resampled, b: Resampled, metric: str, *, n: int, confidence: float = 0.95, seed: int = 1
) -> Difference:
    """Paired bootstrap: both rows on the same resampled examples, each on its own resampled seeds.

    The difference is of gains: positive where `a` is better. p is two-sided: twice the share of resamples on the other side of no
    difference, the sample counted among them
    (Efron & Tibshirani 1993, chapter 15; Davison & Hinkley 1997, 4.2). On fewer than FEWEST_ROWS examples it is 1: nothing is shown.
    """
    values = metric_of(metric).gain(1) * (a.over_seeds(metric, seed) - b.over_seeds(metric, seed + 1))
    resampled = values[1:]
    smaller = min((resampled <= 0).sum(), (resampled >= 0).sum())
    p = min(1.0, 2 * (1 + int(smaller)) / (1 + len(resampled))) if n >= FEWEST_ROWS else 1.0
    low, high = _percentiles(values, confidence)
    return Difference(Score(value=float(values[0]), low=low, high=high, n=n), p)


def right(row: RunAnswers) -> Bools:
    """Return which answers are right, `(seeds, n)`."""
    return np.array([[prediction.right for prediction in run] for run in row], dtype=bool)


def mcnemar(right_a: Bools, right_b: Bools, rows: Ints | None = None) -> float:
    """Exact McNemar test of two rows: `(seeds, n)` each, whether an answer is right; returns a p-value.

    Seed i is tested against seed i (a row of one seed against each). Counts are not pooled over seeds: the runs of a method err
    on the same texts, and pooled they would count as independent evidence. Nor do seeds vote: that would test an ensemble nobody
    runs. The p-values are combined by Rüger's rule, valid however they depend on each other: S / k times the k-th smallest, with
    k more than half of S (Rüger 1978; Vovk & Wang 2020). Exact test of one seed: McNemar 1947, binomial.
    With `rows` `(n,)`, see `rows_of`, a row of the data counts once, for the side that gets more of its examples right.
    """
    from scipy.stats import binomtest

    seeds = max(len(right_a), len(right_b))
    p_values = []
    for i in range(seeds):
        a, b = right_a[i % len(right_a)], right_b[i % len(right_b)]
        ahead = np.bincount(np.arange(len(a)) if rows is None else rows, weights=a.astype(float) - b)
        only_a, only_b = int((ahead > 0).sum()), int((ahead < 0).sum())
        apart = only_a + only_b
        p_values.append(float(binomtest(only_a, apart).pvalue) if apart else 1.0)
    k = seeds // 2 + 1
    return min(1.0, seeds / k * sorted(p_values)[k - 1])


def discordance(right_a: Bools, right_b: Bools) -> float:
    """Return the share of texts that one of two rows alone gets right, mean over all pairs of their seeds; `(seeds, n)` each."""
    return float((right_a[:, None] != right_b[None]).mean())


def texts_to_tell(difference: float, discordant: float, confidence: float = 0.95, power: float = 0.8) -> int | None:
    """Return how many texts McNemar's test needs to tell two rows apart whose shares of right answers differ so; None if they do not.

    `discordant`: share of texts that one of them alone gets right. n = (z_a sqrt(D) + z_b sqrt(D - d^2))^2 / d^2, with z_a for
    the two-sided level and z_b for the power: Miettinen 1968 (Biometrics 24), as in Connor 1987 (Biometrics 43), equation 3.
    """
    from scipy.stats import norm

    if math.isclose(difference, 0, abs_tol=1e-9):  # means over seeds that are equal differ in the last bit
        return None
    outside, within = float(norm.isf((1 - confidence) / 2)), float(norm.ppf(power))
    spread = max(discordant - difference**2, 0.0)
    return int(np.ceil((outside * np.sqrt(discordant) + within * np.sqrt(spread)) ** 2 / difference**2))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in the same order: the chance of even one false difference stays bounded (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled)) if len(p) else scaled
    return [float(value) for value in adjusted]


def enough_resamples(pairs: int, confidence: float, least: int) -> int:
    """Return so many resamples that the bootstrap's smallest p, 2 / (1 + resamples), is half of what Holm asks of the first of `pairs`."""
    return max(least, int(np.ceil(4 * pairs / (1 - confidence))))


def group(names: Sequence[str], apart: Callable[[str, str], bool]) -> list[list[str]]:
    """Return names, the best first, in groups: the best that is left opens a group, and all that are not apart from it join."""
    left, groups = list(names), []
    while left:
        joined = [name for name in left if name == left[0] or not apart(left[0], name)]
        groups.append(joined)
        left = [name for name in left if name not in joined]
    return groups


def _percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return float(low), float(high)

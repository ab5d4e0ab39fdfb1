"""How metrics and their intervals are made of series over draws: percentile bootstrap over examples, over rows that hold several.

>>> bootstrap_weights(3, 1).sum(axis=1).tolist(), scores_of({"accuracy": np.array([0.5, 0.4, 0.6])}, n=2)["accuracy"].value
([3.0, 3.0], 0.5)
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from fintune.records import Prediction, Score, Scores
from fintune.tasks.arrays import Floats, Ints

_LARGEST = 700.0
"""The largest exponent for which `exp` does not overflow."""
_AT_A_TIME = 4_000_000
"""Number of weights that are held at a time: 32 MB."""


def bootstrap_weights(n: int, resamples: int, seed: int = 0) -> Floats:
    """Return how often each of n examples stands in a resample, `(1 + resamples, n)`; row 0 is the sample itself.

    Source: Efron & Tibshirani 1993.
    """
    return np.vstack(list(bootstrap_blocks(np.arange(n), resamples, seed)))


def rows_of(predictions: Sequence[Prediction]) -> Ints:
    """Return the number of the row that each prediction stands in, `(n,)`: its own place where every row holds one example."""
    numbers: dict[str | int, int] = {}
    places = [numbers.setdefault(one.row or i, len(numbers)) for i, one in enumerate(predictions)]
    return np.array(places, dtype=np.int64)


def have_several(rows: Ints) -> bool:
    """Whether a row holds several predictions; `rows` as `rows_of` returns it."""
    return int(rows.max(initial=-1)) + 1 < len(rows)


def bootstrap_blocks(rows: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield `bootstrap_weights`, some draws at a time; examples of one row (see `rows_of`) are drawn together."""
    random, size = np.random.default_rng(seed), int(rows.max(initial=-1)) + 1
    at_a_time = rows_at_a_time(len(rows))
    yield np.ones((1, len(rows)))
    for start in range(0, resamples, at_a_time):
        chosen = random.integers(0, size, size=(min(at_a_time, resamples - start), size))
        yield np.array([np.bincount(draw, minlength=size)[rows] for draw in chosen], dtype=float)


def rows_at_a_time(n: int) -> int:
    """Return how many draws of n examples are held at a time."""
    return max(1, _AT_A_TIME // max(n, 1))


def joined(parts: Iterable[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return series of blocks of draws as series of all."""
    blocks = list(parts)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def bootstrapped(
    of_draws: Callable[[Floats], Mapping[str, Floats]], rows: Ints, resamples: int, seed: int = 0
) -> dict[str, Floats]:
    """Return series over the sample and its resamples, of a function from weights to series; memory does not grow with their number.

    `rows` `(n,)`, see `rows_of`: examples of one row are drawn together, since they are no independent evidence
    (cluster bootstrap: Davison & Hinkley 1997, 3.8; Field & Welsh 2007).
    """
    return joined(of_draws(weights) for weights in bootstrap_blocks(rows, resamples, seed))


def loss_series(loss: Floats, tokens: Ints, weights: Floats) -> dict[str, Floats]:
    """Return answer loss and perplexity on each draw: `loss` `(n,)` in nats an answer, `tokens` the length of each."""
    mean = (weights @ loss) / (weights @ tokens)
    return {"answer_loss": mean, "perplexity": np.exp(np.minimum(mean, _LARGEST))}


def scores_of(series: Mapping[str, Floats], *, n: int, confidence: float = 0.95) -> Scores:
    """Return each metric with its percentile interval; position 0 of a series is the sample itself."""
    tail = (1 - confidence) / 2
    return {name: _score(values, tail, n) for name, values in series.items()}


def _score(values: Floats, tail: float, n: int) -> Score:
    low, high = np.quantile(values[1:], [tail, 1 - tail]) if len(values) > 1 else (values[0], values[0])
    return Score(float(values[0]), float(low), float(high), n)


def perplexity(loss: float) -> float:
    """exp(loss), bounded where it would overflow."""
    return math.exp(min(loss, _LARGEST))


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return names of `(score, cost)` that no other beats: none scores as high at less cost, or higher at no more."""

    def beaten(score: float, cost: float) -> bool:
        return any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in points.values())

    return [name for name, point in points.items() if not beaten(*point)]

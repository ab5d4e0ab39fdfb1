"""How good a model is on each slice of a part, and where it is worse than on the other texts beyond chance.

A slice is worse where so large a gap in the task's first tested metric is rare among slices of its size drawn at random (permutation
test, one-sided; Holm's correction over all slices of the part).

Example:
    [one.name for one in sliced(task, predictions, examples) if one.worse]
    # ['wire']
"""

from collections.abc import Iterator, Sequence

import numpy as np

from fintune.data.dates import Formats
from fintune.evaluation.evaluate import score
from fintune.evaluation.significance import FEWEST_ROWS, alike, enough_resamples, holm
from fintune.evaluation.slices import cuts
from fintune.records import Example, Prediction, Slice, Statement
from fintune.tasks import Task
from fintune.tasks.arrays import Bools, Floats
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import have_several, rows_of

_BLOCK = 200
"""Draws at a time."""
_ENOUGH = 20
"""Draws at least as bad as the slice, after which no more are made: it is not worse."""
_SAID = 3
"""Slices that are named in sentences."""


def sliced(
    task: Task,
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    *,
    date_format: Formats = None,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> list[Slice]:
    """Return the slices of what was answered; none of answers whose examples are not among `examples`."""
    by_id = {example.id: example for example in examples}
    if not predictions or any(p.id not in by_id for p in predictions):
        return []
    rows = rows_of(predictions)
    made = cuts([by_id[p.id] for p in predictions], rows, date_format)
    part = _Part(task, predictions)
    draws = enough_resamples(len(made), confidence, resamples)
    chances = [part.chance(cut.members, draws, seed) for seed, cut in enumerate(made)]
    adjusted = iter(holm([chance for chance in chances if chance is not None]))
    slices = []
    for cut, chance in zip(made, chances, strict=True):
        own = [one for one, inside in zip(predictions, cut.members, strict=True) if inside]
        scores, p = (
            score(own, task, confidence=confidence, resamples=resamples),
            None if chance is None else next(adjusted),
        )
        slices.append(
            Slice(
                by=cut.by,
                name=cut.name,
                scores={name: scores[name] for name in dict.fromkeys([*task.headline, part.metric])},
                metric=part.metric,
                rest=part.value(~cut.members),
                p=p,
                worse=p is not None and p < 1 - confidence,
            )
        )
    return slices


class _Part:
    """The answers to a part, those that are alike as one kind, and the first tested metric of draws of them."""

    def __init__(self, task: Task, predictions: Sequence[Prediction]) -> None:
        self.metric = task.tested[0]
        self._task, self._rows = task, rows_of(predictions)
        self._all = predictions
        self._together = have_several(self._rows)
        kinds = [[i] for i in range(len(predictions))] if self._together else alike([predictions])
        self._kinds = [predictions[kind[0]] for kind in kinds]
        self._counts = np.array([len(kind) for kind in kinds])

    def value(self, members: Bools) -> float:
        """Return the metric of some of the answers."""
        return float(self._task.score(self._all, members[None].astype(float))[self.metric][0])

    def chance(self, members: Bools, draws: int, seed: int) -> float | None:
        """Return the chance that as many texts drawn at random are as much worse than the others; None where they are too few.

        Draws end early where that is plainly not rare: p is then their number up to then under _ENOUGH (Besag & Clifford 1991).
        """
        inside = np.zeros(int(self._rows.max()) + 1, dtype=bool)
        inside[self._rows[members]] = True
        if min(inside.sum(), (~inside).sum()) < FEWEST_ROWS:
            return None
        gain = metric_of(self.metric).gain
        seen, made, own = 0, 0, gain(self.value(~members)) - gain(self.value(members))
        for weights in self._draws(inside, draws, seed):
            beyond = np.flatnonzero(self._gaps(weights) >= own - 1e-9)
            if seen + len(beyond) >= _ENOUGH:
                return _ENOUGH / (made + int(beyond[_ENOUGH - seen - 1]) + 1)
            seen, made = seen + len(beyond), made + len(weights)
        return (1 + seen) / (1 + made)

    def _gaps(self, weights: Floats) -> Floats:
        gain = metric_of(self.metric).gain
        own, rest = (self._task.score(self._kinds, of)[self.metric] for of in (weights, self._counts - weights))
        return np.array([gain(b) - gain(a) for a, b in zip(own.tolist(), rest.tolist(), strict=True)])

    def _draws(self, inside: Bools, draws: int, seed: int) -> Iterator[Floats]:
        """Yield how many of each kind are in slices of the same size, `(draws, kinds)`, some draws at a time."""
        random = np.random.default_rng(seed)
        for start in range(0, draws, _BLOCK):
            size = min(_BLOCK, draws - start)
            if self._together:
                yield random.permuted(np.tile(inside, (size, 1)), axis=1)[:, self._rows].astype(float)
            else:
                yield random.multivariate_hypergeometric(self._counts, int(inside.sum()), size=size).astype(float)


def slice_statements(slices: Sequence[Slice], n: int) -> list[Statement]:
    """Return a sentence for each slice that is worse, the surest first; a group, which may name a person, is not named."""
    worse = sorted((one for one in slices if one.worse), key=lambda one: one.p or 0.0)
    return [_statement(one, n) for one in worse[:_SAID]]


def _statement(one: Slice, n: int) -> Statement:
    metric, own = metric_of(one.metric), one.scores[one.metric]
    name = "fintune scores RUN --by group" if one.by == "group" else one.name
    values = {"by": one.by, "slice": name, "metric": metric.name, "own": metric.written(own.value)}
    values |= {"other": metric.written(one.rest), "part": f"{own.n:,}", "n": f"{n:,}"}
    which = f"{one.by}, see {name}" if one.by == "group" else f"{one.by} {name}"
    figures = f"{metric.title} {values['own']}, on the others {values['other']} ({own.n:,} of {n:,} texts)"
    return Statement(kind="slice", level="warning", text=f"Worse on some texts ({which}): {figures}.", values=values)

"""From rows to comparison.json: intervals, pairs, groups, the recommendation, the Pareto frontier, the learning curve.

Example:
    part = ScoredPart(examples=prepared.splits["validation"], task=task, name="validation")
    comparison_results(part, rows, evaluation)["groups"]
    # [['lora', 'ia3'], ['tfidf'], ['majority']]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fintune.comparison.content import MetricScores, PairContent, PointContent, ResultsContent, RowContent
from fintune.comparison.recommendation import recommend, training_time
from fintune.comparison.rows import ComparisonRow
from fintune.config.evaluation import EvaluationSection
from fintune.evaluation.significance import (
    Resampled,
    difference,
    discordance,
    enough_resamples,
    group,
    holm,
    interval,
    mcnemar,
    resample,
    right,
)
from fintune.records import Example
from fintune.runs.score_record import plain_scores
from fintune.tasks import Task
from fintune.tasks.arrays import Bools
from fintune.tasks.baselines import is_floor
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import pareto, rows_of


@dataclass(frozen=True, kw_only=True)
class ScoredPart:
    """The part that all rows have answered."""

    examples: Sequence[Example]
    task: Task
    name: str
    leaked: Collection[str] = frozenset()
    """Ids of texts that are not new to the models: they stand in train or validation too."""

    @property
    def metric(self) -> str:
        """What rows are sorted and told apart by."""
        return self.task.headline[0]

    @property
    def has_exact_test(self) -> bool:
        """Whether answers are right or wrong, so that McNemar's test says something of them too."""
        return any(metric_of(name).of_right_answers for name in self.task.tested)

    @property
    def new(self) -> Bools:
        """Whether a text is new to the models, `(n,)`."""
        return np.array([e.id not in self.leaked for e in self.examples], dtype=bool)


def comparison_results(
    scored: ScoredPart, rows: Sequence[ComparisonRow], evaluation: EvaluationSection
) -> ResultsContent:
    """Return what scored rows show: the best first, in groups that cannot be told apart from their first."""
    size = enough_resamples(len(rows) * (len(rows) - 1) // 2, evaluation.confidence, evaluation.resamples)
    resampled = resample(scored.task, {row.name: row.answers for row in rows}, resamples=size)
    scores = _scores_by_name(scored, resampled, len(scored.examples), evaluation.confidence)
    ranking = metric_of(scored.metric)
    best_first = sorted(rows, key=lambda row: -ranking.gain(scores[row.name][ranking.name]["value"]))
    pairs = _pairs(scored, best_first, resampled, evaluation.confidence)
    apart = {frozenset((p["a"], p["b"])): p["p_holm"] < 1 - evaluation.confidence for p in pairs}
    groups = group([row.name for row in best_first], lambda a, b: apart[frozenset((a, b))])
    number = {name: i + 1 for i, names in enumerate(groups) for name in names}
    clean = _clean(scored, rows, evaluation.confidence, size)
    ahead = _ahead_of_floor(scored, rows, resampled, evaluation.confidence)
    content = [
        _row_content(row, scores[row.name], clean.get(row.name), number[row.name], ahead.get(row.name))
        for row in best_first
    ]
    content.sort(key=lambda row: row["group"])
    costs = {row["name"]: (ranking.gain(row["scores"][ranking.name]["value"]), training_time(row)) for row in content}
    return {
        "leaks": int((~scored.new).sum()),
        "rows": content,
        "pairs": pairs,
        "groups": groups,
        "recommendation": recommend(
            content, pairs, scored.name, ranking, confidence=evaluation.confidence, tested=scored.task.tested
        ),
        "pareto": pareto(costs),
    }


def learning_curve(
    scored: ScoredPart, sized: Mapping[int, Sequence[ComparisonRow]], evaluation: EvaluationSection
) -> list[PointContent]:
    """Return the learning curve: scores by name and size of the train part, the smallest first."""
    points: list[PointContent] = []
    for size, rows in sorted(sized.items()):
        answers = {row.name: row.answers for row in rows}
        resampled = resample(scored.task, answers, resamples=evaluation.resamples)
        by_name = _scores_by_name(scored, resampled, len(scored.examples), evaluation.confidence)
        points += [{"name": name, "size": size, "scores": scores} for name, scores in by_name.items()]
    return points


def _scores_by_name(
    scored: ScoredPart, resampled: Mapping[str, Resampled], n: int, confidence: float
) -> dict[str, MetricScores]:
    """Return the headline metrics of each row with their intervals."""
    return {
        name: plain_scores({m: interval(series, m, n=n, confidence=confidence) for m in scored.task.headline})
        for name, series in resampled.items()
    }


def _clean(
    scored: ScoredPart, rows: Sequence[ComparisonRow], confidence: float, resamples: int
) -> dict[str, MetricScores]:
    """Return scores by row on the texts that are new to the models, where some are and some are not."""
    new = scored.new
    if new.all() or not new.any():
        return {}
    answers = {
        row.name: [[p for p, is_new in zip(run, new, strict=True) if is_new] for run in row.answers] for row in rows
    }
    resampled = resample(scored.task, answers, resamples=resamples)
    return _scores_by_name(scored, resampled, int(new.sum()), confidence)


def _pairs(
    scored: ScoredPart, rows: Sequence[ComparisonRow], resampled: Mapping[str, Resampled], confidence: float
) -> list[PairContent]:
    """Return all pairs. Holm's correction takes the larger of both tests' p: they must agree that, and which way, rows differ."""
    pairs = [_pair(scored, (a, b), resampled, confidence) for a, b in combinations(rows, 2)]
    adjusted = holm([pair["p_holm"] for pair in pairs])
    for pair, p in zip(pairs, adjusted, strict=True):
        pair["p_holm"] = p
    return pairs


def _pair(
    scored: ScoredPart, rows: tuple[ComparisonRow, ComparisonRow], resampled: Mapping[str, Resampled], confidence: float
) -> PairContent:
    """Return the tests of two rows, the better one first; p_holm is the p before Holm's correction."""
    a, b = rows
    test = difference(
        resampled[a.name], resampled[b.name], scored.metric, n=len(scored.examples), confidence=confidence
    )
    right_a, right_b = right(a.answers), right(b.answers)
    more_right = float(right_a.mean() - right_b.mean())
    p_mcnemar = mcnemar(right_a, right_b, rows_of(a.answers[0])) if scored.has_exact_test else None
    p = test.p
    if p_mcnemar is not None:
        p = max(p, p_mcnemar) if more_right * test.score.value >= 0 else 1.0
    return {
        "a": a.name,
        "b": b.name,
        "metric": scored.metric,
        "difference": plain_scores({scored.metric: test.score})[scored.metric],
        "right": more_right,
        "discordant": discordance(right_a, right_b),
        "p_bootstrap": test.p,
        "p_mcnemar": p_mcnemar,
        "p_holm": p,
    }


def _ahead_of_floor(
    scored: ScoredPart, rows: Sequence[ComparisonRow], resampled: Mapping[str, Resampled], confidence: float
) -> dict[str, bool]:
    """Return which rows are better than the floor in one of the metrics that the task names for it, Holm's correction over all tests."""
    floor = next((row for row in rows if is_floor(row.name)), None)
    if floor is None:
        return {}
    tests = {
        (row.name, m): difference(
            resampled[row.name], resampled[floor.name], m, n=len(scored.examples), confidence=confidence
        )
        for row in rows
        if row is not floor
        for m in scored.task.tested
    }
    together, of_floor = rows_of(floor.answers[0]), right(floor.answers)
    exact = {row.name: mcnemar(right(row.answers), of_floor, together) for row in rows if row is not floor}
    p = holm(
        [max(test.p, exact[name]) if metric_of(m).of_right_answers else test.p for (name, m), test in tests.items()]
    )
    proven = {
        key
        for (key, test), adjusted in zip(tests.items(), p, strict=True)
        if adjusted < 1 - confidence and test.score.value > 0
    }
    return {row.name: any((row.name, m) in proven for m in scored.task.tested) for row in rows if row is not floor}


def _row_content(
    row: ComparisonRow, scores: MetricScores, clean: MetricScores | None, number: int, ahead: bool | None
) -> RowContent:
    costs = row.costs
    return {
        "name": row.name,
        "kind": row.kind,
        "seeds": len(row.answers),
        "scores": scores,
        "clean": clean,
        "trainable_parameters": costs.trainable_parameters,
        "adapter_mb": costs.adapter_mb,
        "train_seconds": costs.train_seconds,
        "peak_memory_bytes": costs.peak_memory_bytes,
        "seconds_per_1000": costs.seconds_per_1000,
        "forgetting": costs.forgetting,
        "group": number,
        "ahead": ahead,
        "runs": row.runs,
    }

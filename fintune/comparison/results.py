"""From rows to comparison.json: intervals, pairs, groups, the recommendation, the Pareto frontier, the learning curve.

>>> part = ScoredPart(examples=prepared.splits["validation"], labels=labels, name="validation")
>>> comparison_record(part, rows, evaluation)["groups"]
[['lora', 'ia3'], ['tfidf'], ['majority']]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from fintune.comparison.recommendation import recommend, training_time
from fintune.comparison.rows import ComparisonRow
from fintune.config.evaluation import EvaluationSection
from fintune.evaluation.significance import (
    METRICS,
    Bools,
    Resampled,
    difference,
    discordance,
    enough_resamples,
    group,
    holm,
    interval,
    mcnemar,
    pareto,
    resample,
)
from fintune.records import Example
from fintune.tasks.metrics import Ints

RANKING_METRIC = "accuracy"
"""What rows are sorted and told apart by: the one headline metric an exact test exists for."""


@dataclass(frozen=True, kw_only=True)
class ScoredPart:
    """The part that all rows have answered."""

    examples: Sequence[Example]
    labels: Sequence[str]
    name: str
    leaked: Collection[str] = frozenset()
    """Ids of texts that are not new to the models: they stand in train or validation too."""

    @property
    def gold(self) -> Ints:
        """Positions of the true labels, `(n,)`."""
        return np.array([self.labels.index(e.label) for e in self.examples], dtype=np.int64)

    @property
    def new(self) -> Bools:
        """Whether a text is new to the models, `(n,)`."""
        return np.array([e.id not in self.leaked for e in self.examples], dtype=bool)


def comparison_record(
    scored: ScoredPart, rows: Sequence[ComparisonRow], evaluation: EvaluationSection
) -> dict[str, Any]:
    """Return `leaks`, `rows`, `pairs`, `groups`, `recommendation` and `pareto` of comparison.json."""
    size = enough_resamples(len(rows) * (len(rows) - 1) // 2, evaluation.confidence, evaluation.resamples)
    resampled = resample(scored.gold, {row.name: row.answers for row in rows}, scored.labels, resamples=size)
    scores = {name: scores_of(one, len(scored.examples), evaluation.confidence) for name, one in resampled.items()}
    best_first = sorted(rows, key=lambda row: -scores[row.name][RANKING_METRIC]["value"])
    pairs = _pairs(scored.gold, best_first, resampled, evaluation.confidence)
    apart = {frozenset((p["a"], p["b"])): p["p_holm"] < 1 - evaluation.confidence for p in pairs}
    groups = group([row.name for row in best_first], lambda a, b: apart[frozenset((a, b))])
    place = {name: i + 1 for i, names in enumerate(groups) for name in names}
    clean = _clean(scored, rows, evaluation.confidence, size)
    shown = [_shown(row, scores[row.name], clean.get(row.name), place[row.name]) for row in best_first]
    shown.sort(key=lambda row: row["group"])
    costs = {row["name"]: (row["scores"][RANKING_METRIC]["value"], training_time(row)) for row in shown}
    return {
        "leaks": int((~scored.new).sum()),
        "rows": shown,
        "pairs": pairs,
        "groups": groups,
        "recommendation": recommend(shown, pairs, scored.name, RANKING_METRIC, confidence=evaluation.confidence),
        "pareto": pareto(costs),
    }


def learning_curve(
    scored: ScoredPart, sized: Mapping[int, Sequence[ComparisonRow]], evaluation: EvaluationSection
) -> list[dict[str, Any]]:
    """Return the learning curve: scores by name and size of the train part, the smallest first."""
    points = []
    for size, rows in sorted(sized.items()):
        answers = {row.name: row.answers for row in rows}
        resampled = resample(scored.gold, answers, scored.labels, resamples=evaluation.resamples)
        for name, one in resampled.items():
            scores = scores_of(one, len(scored.examples), evaluation.confidence)
            points.append({"name": name, "size": size, "scores": scores})
    return points


def scores_of(row: Resampled, n: int, confidence: float) -> dict[str, Any]:
    """Return the headline metrics with their intervals."""
    return {metric: asdict(interval(row, metric, n=n, confidence=confidence)) for metric in METRICS}


def _clean(
    scored: ScoredPart, rows: Sequence[ComparisonRow], confidence: float, resamples: int
) -> dict[str, dict[str, Any]]:
    """Return scores by row on the texts that are new to the models, where some are and some are not."""
    new = scored.new
    if new.all() or not new.any():
        return {}
    answers = {row.name: row.answers[:, new] for row in rows}
    resampled = resample(scored.gold[new], answers, scored.labels, resamples=resamples)
    return {name: scores_of(one, int(new.sum()), confidence) for name, one in resampled.items()}


def _pairs(
    gold: Ints, rows: Sequence[ComparisonRow], resampled: Mapping[str, Resampled], confidence: float
) -> list[dict[str, Any]]:
    """Return all pairs, the better one as `a`. Holm's correction takes the larger of both tests' p: they must agree that rows differ."""
    pairs: list[dict[str, Any]] = []
    for a, b in combinations(rows, 2):
        test = difference(resampled[a.name], resampled[b.name], RANKING_METRIC, n=len(gold), confidence=confidence)
        right_a, right_b = a.answers == gold, b.answers == gold
        pairs.append(
            {"a": a.name, "b": b.name, "metric": RANKING_METRIC, "difference": asdict(test.score)}
            | {"discordant": discordance(right_a, right_b)}
            | {"p_bootstrap": test.p, "p_mcnemar": mcnemar(right_a, right_b)}
        )
    adjusted = holm([max(pair["p_bootstrap"], pair["p_mcnemar"]) for pair in pairs])
    return [pair | {"p_holm": p} for pair, p in zip(pairs, adjusted, strict=True)]


def _shown(row: ComparisonRow, scores: dict[str, Any], clean: dict[str, Any] | None, place: int) -> dict[str, Any]:
    head = {"name": row.name, "kind": row.kind, "seeds": len(row.answers), "scores": scores, "clean": clean}
    return head | asdict(row.costs) | {"group": place, "runs": row.runs}

"""A model beside a baseline: paired tests on the same texts, in accuracy (McNemar) and in MCC (bootstrap).

>>> compare(predictions, {"majority": ["up"] * 452}, ["up", "down"], confidence=0.95, resamples=1000)["majority"].relation
'ahead'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fintune.evaluation.significance import Difference, difference, enough_resamples, holm, mcnemar, resample
from fintune.records import Prediction
from fintune.tasks.metrics import UNPARSED, Ints

TESTED_METRICS = ("accuracy", "mcc")
"""What a paired test compares a model and a baseline by."""
Relation = Literal["ahead", "behind", "no-better", "undecided", "too-few"]
"""How a model stands to a baseline."""


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """A model and a baseline on the same `n` texts: `own` and `other` by metric, the paired test of each."""

    name: str
    n: int
    own: Mapping[str, float]
    other: Mapping[str, float]
    tests: Mapping[str, Difference]
    """The tests by metric, p after Holm's correction."""
    discordant: float
    """Share of texts that one of them alone gets right."""
    confidence: float

    @property
    def relation(self) -> Relation:
        """Ahead in one metric is ahead; behind in one and ahead in none is behind."""
        signs = {test.score.value > 0 for test in self.tests.values() if test.p < 1 - self.confidence}
        if signs:
            return "ahead" if True in signs else "behind"
        if (
            len(TESTED_METRICS) * 0.5 ** (self.mistakes - 1) >= 1 - self.confidence
        ):  # p were it right on all that the other is not
            return "too-few"
        return "undecided" if self.own["accuracy"] > self.other["accuracy"] else "no-better"

    @property
    def mistakes(self) -> int:
        """Texts that the baseline gets wrong."""
        return round((1 - self.other["accuracy"]) * self.n)

    @property
    def proven(self) -> str:
        """The metric that shows it is ahead."""
        return next(
            m for m in TESTED_METRICS if self.tests[m].p < 1 - self.confidence and self.tests[m].score.value > 0
        )


def compare(
    predictions: Sequence[Prediction],
    baselines: Mapping[str, list[str | None]],
    labels: Sequence[str],
    *,
    confidence: float,
    resamples: int,
) -> dict[str, BaselineComparison]:
    """Return the paired tests with each baseline, whose labels stand in the order of the predictions."""
    where: dict[str | None, int] = {label: i for i, label in enumerate(labels)} | {None: UNPARSED}
    gold = np.array([where[p.gold] for p in predictions], dtype=np.int64)
    rows: dict[str, Ints] = {"": np.array([[where[p.label] for p in predictions]])}
    rows |= {name: np.array([[where[label] for label in answers]]) for name, answers in baselines.items()}
    drawn = resample(gold, rows, labels, resamples=enough_resamples(len(TESTED_METRICS), confidence, resamples))
    compared = {}
    for name in baselines:
        tests = {m: difference(drawn[""], drawn[name], m, n=len(gold), confidence=confidence) for m in TESTED_METRICS}
        right, other = rows[""] == gold, rows[name] == gold
        adjusted = holm([mcnemar(right, other), tests["mcc"].p])
        compared[name] = BaselineComparison(
            name=name,
            n=len(gold),
            own={m: float(drawn[""].series[m][0, 0]) for m in TESTED_METRICS},
            other={m: float(drawn[name].series[m][0, 0]) for m in TESTED_METRICS},
            tests={m: Difference(tests[m].score, p) for m, p in zip(TESTED_METRICS, adjusted, strict=True)},
            discordant=float((right != other).mean()),
            confidence=confidence,
        )
    return compared

"""A model beside a baseline: paired tests on the same texts in the task's tested metrics, exact where they are of right answers.

Example:
    compare(task, predictions, {"majority": answers}, confidence=0.95, resamples=1000)["majority"].relation
    # 'ahead'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fintune.evaluation.significance import (
    FEWEST_ROWS,
    Difference,
    difference,
    enough_resamples,
    holm,
    mcnemar,
    resample,
    right,
)
from fintune.records import Prediction
from fintune.tasks import Task
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import rows_of

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
    """The tests by metric, p after Holm's correction; differences are positive where the model is better."""
    mistakes: int
    """Texts that the baseline gets wrong."""
    discordant: float
    """Share of texts that one of them alone gets right."""
    confidence: float
    rows: int
    """Rows of the data that the texts come from: what the bootstrap draws."""

    @property
    def first(self) -> str:
        """The metric that figures are shown of, where none is proven."""
        return next(iter(self.tests))

    @property
    def rank(self) -> float:
        """What is larger the better the baseline is."""
        return metric_of(self.first).gain(self.other[self.first])

    @property
    def relation(self) -> Relation:
        """Ahead in one metric is ahead; behind in one and ahead in none is behind."""
        signs = {self.tests[metric].score.value > 0 for metric in self._apart}
        if signs:
            return "ahead" if True in signs else "behind"
        if self.rows < FEWEST_ROWS and not self.has_exact_test:
            return "undecided"
        # p were it right on all that the other is not
        if self.has_exact_test and len(self.tests) * 0.5 ** (self.mistakes - 1) >= 1 - self.confidence:
            return "too-few"
        return "undecided" if self.tests[self.first].score.value > 0 else "no-better"

    @property
    def has_exact_test(self) -> bool:
        """Whether the first metric is the share of right answers."""
        return metric_of(self.first).of_right_answers

    @property
    def telling(self) -> str:
        """The metric that shows it is ahead, or behind; where none does, the first."""
        ahead = self.relation == "ahead"
        return next((m for m in self._apart if (self.tests[m].score.value > 0) is ahead), self.first)

    @property
    def _apart(self) -> list[str]:
        """The metrics in which the two are told apart."""
        return [metric for metric, test in self.tests.items() if test.p < 1 - self.confidence]


def compare(
    task: Task,
    predictions: Sequence[Prediction],
    baselines: Mapping[str, Sequence[Prediction]],
    *,
    confidence: float,
    resamples: int,
) -> dict[str, BaselineComparison]:
    """Return the paired tests with each baseline, whose answers stand in the order of the predictions."""
    if not baselines:
        return {}
    rows = {"": [predictions], **{name: [answers] for name, answers in baselines.items()}}
    n, names, together = len(predictions), task.tested, rows_of(predictions)
    independent = len(set(together.tolist()))
    drawn = resample(task, rows, resamples=enough_resamples(len(names), confidence, resamples))
    own_right, compared = right(rows[""]), {}
    for name in baselines:
        tests = {m: difference(drawn[""], drawn[name], m, n=n, confidence=confidence) for m in names}
        other_right = right(rows[name])
        exact = mcnemar(own_right, other_right, together)
        drawn_p = {m: test.p if independent >= FEWEST_ROWS else 1.0 for m, test in tests.items()}
        adjusted = holm([exact if metric_of(m).of_right_answers else drawn_p[m] for m in names])
        compared[name] = BaselineComparison(
            name=name,
            n=n,
            own={m: float(drawn[""].series[m][0, 0]) for m in names},
            other={m: float(drawn[name].series[m][0, 0]) for m in names},
            tests={m: Difference(tests[m].score, p) for m, p in zip(names, adjusted, strict=True)},
            mistakes=int((~other_right).sum()),
            discordant=float((own_right != other_right).mean()),
            confidence=confidence,
            rows=independent,
        )
    return compared

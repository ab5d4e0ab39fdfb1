"""A number for each record, such as a sentiment from -1 to 1: the mean of a grid of choices, each weighed by its probability.

Example:
    task = Regression(RegressionOptions(low=-1, high=1, steps=5))
    list(task.choices()), task.decide({"-1.0": 0, "-0.5": 0, "0.0": 0.5, "0.5": 0.5, "1.0": 0}, blank(task))
    # (['-1.0', '-0.5', '0.0', '0.5', '1.0'], 0.25)
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from fintune.records import Answer, Example, Fault, Prediction, Row
from fintune.tasks.metric import Metric
from fintune.tasks.protocol import TaskEntry, TaskKind
from fintune.tasks.template import TEMPLATE, TemplateOptions, TemplateTask

if TYPE_CHECKING:
    from fintune.tasks.arrays import Floats

_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MOST_DIGITS = 6

METRICS_OF_NUMBERS = (
    Metric(
        name="mae",
        title="MAE",
        zh="平均绝对误差",
        share=False,
        digits=3,
        greater_is_better=False,
        high=math.inf,
        hub="mae",
    ),
    Metric(
        name="mse", title="MSE", zh="均方误差", share=False, digits=3, greater_is_better=False, high=math.inf, hub="mse"
    ),
    Metric(name="spearman", title="Spearman", zh="斯皮尔曼相关", share=False, digits=3, low=-1.0, hub="spearmanr"),
    Metric(name="pearson", title="Pearson", zh="皮尔逊相关", share=False, digits=3, low=-1.0, hub="pearsonr"),
    Metric(name="cosine", title="cosine", zh="余弦相似度", share=False, digits=3, low=-1.0),
    Metric(name="r2", title="R2", zh="R2", share=False, digits=3, low=-math.inf, hub="r_squared"),
)


class RegressionOptions(TemplateOptions):
    """Settings of task `regression`."""

    name: Literal["regression"] = "regression"
    prompt: str = Field("{text}\nScore: {answer}", description=TEMPLATE)
    low: float = Field(-1.0, description="The smallest value of the scale.")
    high: float = Field(1.0, description="The largest value of the scale.")
    steps: int = Field(11, ge=2, le=101, description="Values that the model chooses among, evenly from low to high.")

    @model_validator(mode="after")
    def _scale_has_a_width(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low: {self.low:g} is not below high: {self.high:g}")
        if len(set(_names(self.grid()))) < self.steps:
            raise ValueError(f"steps: {self.steps} values from {self.low:g} to {self.high:g} read alike")
        return self

    def grid(self) -> list[float]:
        """Return the values that the model chooses among."""
        width = (self.high - self.low) / (self.steps - 1)
        return [self.low + i * width for i in range(self.steps - 1)] + [self.high]


class Regression(TemplateTask):
    """See Task."""

    version = 1
    kind: TaskKind = "numbers"
    noun = "value"
    headline = ("mae", "spearman", "r2")
    tested = ("mae", "spearman")

    def __init__(self, options: RegressionOptions) -> None:
        super().__init__(options)
        self._low, self._high = options.low, options.high
        self._values = dict(zip(_names(options.grid()), options.grid(), strict=True))
        self._choices = {name: self.template.gap + name for name in self._values}

    def parse(self, row: Row) -> Sequence[Example | Fault]:
        """See Task."""
        value, problem, hint = self._number(row.target or "")
        if value is None:
            return [
                Fault(
                    where=row.id,
                    problem=problem,
                    hint=hint,
                    kind="unknown-label",
                    value=row.target or "",
                    text=row.text,
                )
            ]
        return [Example(row.id, row.fields, value, date=row.date, group=row.group)]

    def _number(self, written: str) -> tuple[float | None, str, str]:
        """Return the value of a cell; else what is wrong with it, and what to do."""
        if not _PLAIN.fullmatch(written):
            plain = "such as 1234.5, -3 or 0.12, without separators, signs of percent or brackets"
            return None, f"'{written}' is no plain number" if written else "no number", f"Write it {plain}."
        value = float(written)
        if not self._low <= value <= self._high:
            scale = f"{self._low:g} to {self._high:g}"
            return None, f"{written} is outside the scale of {scale}", "Mend the row, or set task.low and task.high."
        return value, "", ""

    def target(self, example: Example) -> str:
        """See Task: the nearest value of the grid."""
        wanted = _value(example.target)
        return self._choices[min(self._values, key=lambda name: abs(self._values[name] - wanted))]

    def choices(self, example: Example | None = None) -> Mapping[str, str]:
        """See Task."""
        return self._choices

    def decide(self, probabilities: Mapping[str, float], example: Example) -> float:
        """See Task: the expectation, which has the smallest squared error."""
        return sum(share * self._values[name] for name, share in probabilities.items())

    def parse_answer(self, text: str, example: Example) -> float | None:
        """See Task."""
        return self._number(text.strip())[0]

    def score(self, predictions: Sequence[Prediction], weights: "Floats") -> Mapping[str, "Floats"]:
        """See Task. An answer that could not be read counts as the middle of the scale."""
        import numpy as np

        from fintune.tasks.number_series import number_series

        middle = (self._low + self._high) / 2
        gold = np.array([_value(p.gold) for p in predictions])
        said = np.array([middle if p.answer is None else _value(p.answer) for p in predictions])
        return number_series(gold, said, weights)


def _value(answer: Answer | None) -> float:
    if isinstance(answer, float):
        return answer
    raise TypeError(f"{answer!r} is no number")


def _names(grid: Sequence[float]) -> list[str]:
    """Return the values as they are written: with as few digits as tell them apart and are exact."""
    for digits in range(1, _MOST_DIGITS + 1):
        names = [f"{value:.{digits}f}" for value in grid]
        if all(math.isclose(float(name), value, abs_tol=1e-9) for name, value in zip(names, grid, strict=True)):
            return ["0." + "0" * digits if float(name) == 0 else name for name in names]
    return [f"{value:.{_MOST_DIGITS}f}" for value in grid]


REGRESSION = TaskEntry("regression", "a number per text, on a scale", RegressionOptions, Regression, METRICS_OF_NUMBERS)

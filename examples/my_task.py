"""A task of one's own whose answer is written: which company a headline is about, told in the label column.

fintune train run.yaml --code examples/my_task.py --set task.name=company
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from fintune.records import Example, Fault, Prediction, Row
from fintune.tasks.arrays import Floats
from fintune.tasks.metric import Metric
from fintune.tasks.protocol import TaskEntry
from fintune.tasks.template import TemplateOptions, TemplateTask


class CompanyOptions(TemplateOptions):
    name: Literal["company"] = "company"
    prompt: str = "{text}\nCompany: {answer}"


class Company(TemplateTask):
    version = 1
    noun = "company"
    headline = tested = ("exact",)

    def parse(self, row: Row) -> Sequence[Example | Fault]:
        if not row.target:
            return [
                Fault(where=row.id, problem="no company", hint="Fill the column.", kind="unknown-label", text=row.text)
            ]
        return [Example(row.id, row.fields, row.target)]

    def target(self, example: Example) -> str:
        return f"{self.template.gap}{example.target}"

    def parse_answer(self, text: str, example: Example) -> str | None:
        return text.strip() or None

    def score(self, predictions: Sequence[Prediction], weights: Floats) -> Mapping[str, Floats]:
        right = np.array([prediction.right for prediction in predictions], dtype=float)
        return {"exact": weights @ right / weights.sum(axis=1)}


EXACT = Metric(name="exact", title="exact match", zh="完全一致", of_right_answers=True)
COMPANY = TaskEntry("company", "the company a headline is about", CompanyOptions, Company, [EXACT])

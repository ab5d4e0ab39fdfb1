"""One label of a closed set for each text, and the preset for financial sentiment.

>>> task = Classification(ClassificationOptions(labels=["negative", "positive"]))
>>> str(task.prompt(Example("1", {"text": "Profit rose."}, None))), task.choices()
('Profit rose.\\nLabel:', {'negative': ' negative', 'positive': ' positive'})
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fintune.errors import did_you_mean
from fintune.records import Example, Fault, Prediction, Row
from fintune.tasks.metric import Metric
from fintune.tasks.protocol import TaskEntry, TaskKind
from fintune.tasks.template import TEMPLATE, TemplateOptions, TemplateTask

if TYPE_CHECKING:
    from fintune.tasks.arrays import Floats

METRICS_OF_LABELS = (
    Metric(name="macro_f1", title="macro-F1", zh="宏平均 F1", hub="f1"),
    Metric(name="accuracy", title="accuracy", zh="准确率", of_right_answers=True, hub="accuracy"),
    Metric(name="mcc", title="MCC", zh="MCC", share=False, digits=2, low=-1.0, hub="matthews_correlation"),
    Metric(name="weighted_f1", title="weighted F1", zh="加权 F1"),
    Metric(name="micro_f1", title="micro F1", zh="微平均 F1"),
    Metric(name="balanced_accuracy", title="balanced accuracy", zh="平衡准确率"),
    Metric(name="unparsed", title="unparsed", zh="无法解析", greater_is_better=False),
    Metric(name="precision", title="precision", zh="精确率"),
    Metric(name="recall", title="recall", zh="召回率"),
    Metric(name="f1", title="F1", zh="F1"),
    Metric(name="support", title="texts", zh="文本数", share=False, digits=0, high=math.inf),
)
_LONGEST_LABEL = 200
"""Characters of a label: longer ones are texts, and every table would hold them."""

_SENTIMENT_PROMPTS = {"en": "{text}\nSentiment: {answer}", "zh": "{text}\n情绪：{answer}"}
_SENTIMENT_ANSWERS = {
    "en": {"negative": "negative", "neutral": "neutral", "positive": "positive"},
    "zh": {"negative": "负面", "neutral": "中性", "positive": "正面"},
}


class ClassificationOptions(TemplateOptions):
    """Settings of task `classification`."""

    name: Literal["classification"] = "classification"
    labels: list[str] = Field(min_length=2, description="The closed set of labels, as they stand in the data.")
    prompt: str = Field("{text}\nLabel: {answer}", description=TEMPLATE)
    answers: dict[str, str] = Field(
        default_factory=dict, description="What the model says for a label, where that is not the label itself."
    )

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str]) -> list[str]:
        if len({label.strip() for label in labels}) < len(labels) or not all(label.strip() for label in labels):
            raise ValueError("labels must differ and not be empty")
        if long := next((label for label in labels if len(label) > _LONGEST_LABEL), None):
            raise ValueError(
                f"a label has {len(long):,} characters, and {_LONGEST_LABEL} are allowed: '{long[:40]}...'"
            )
        return [label.strip() for label in labels]

    @model_validator(mode="after")
    def _answers_fit_labels(self) -> Self:
        for label in self.answers:
            if label not in self.labels:
                raise ValueError(f"answers names the label '{label}'. {did_you_mean(label, self.labels)}")
        said = [self.answers.get(label, label).strip() for label in self.labels]
        if len(set(said)) < len(said) or not all(said):
            raise ValueError("the answers of two labels must differ and not be empty")
        return self


class SentimentOptions(ClassificationOptions):
    """Settings of task `sentiment`: a classification whose labels, prompt and answers are set by `language`."""

    name: Literal["sentiment"] = "sentiment"  # type: ignore[assignment]
    language: Literal["en", "zh"] = Field(
        "en",
        description="Language of the prompt, and of the answer for every label it has one for (texts may be any); set, it goes before"
        " another language's own prompt and answers.",
    )
    labels: list[str] = Field(["negative", "neutral", "positive"], min_length=2, description="Labels in the data.")
    prompt: str = Field(_SENTIMENT_PROMPTS["en"], description="Template; left out: the language's own.")

    @model_validator(mode="before")
    @classmethod
    def _from_language(cls, values: object) -> object:
        """Fill in what is left out; the defaults of one language, written out by a template, give way to another's."""
        if not isinstance(values, dict):
            return values
        language = values.get("language", "en")
        if not isinstance(language, str) or language not in _SENTIMENT_PROMPTS:
            return values
        own: dict[str, Any] = {}
        if values.get("prompt") is None or ("language" in values and values["prompt"] in _SENTIMENT_PROMPTS.values()):
            own["prompt"] = _SENTIMENT_PROMPTS[language]
        labels, answers = values.get("labels"), values.get("answers")
        names = list(_SENTIMENT_ANSWERS["en"]) if labels is None else labels
        if isinstance(names, list) and isinstance(answers, Mapping | None):
            chosen = {} if _written_out(values, language) else {str(k): v for k, v in (answers or {}).items()}
            said = _SENTIMENT_ANSWERS[language]
            known = {name: said[name.casefold()] for name in map(_trimmed, names) if name.casefold() in said}
            own["answers"] = {
                n: a for n, a in known.items() if n in said or language != "en"
            } | chosen  # Negative stays so
        return values | own

    def has_own_prompt(self) -> bool:
        """Whether the prompt is a language's own, none that somebody wrote."""
        return self.prompt in _SENTIMENT_PROMPTS.values()

    @model_validator(mode="after")
    def _one_language(self) -> Self:
        said = _SENTIMENT_ANSWERS[self.language]
        lacking = [label for label in self.labels if self.language != "en" and label not in self.answers]
        borrowed = [label for label in self.labels if label in said and self.answers.get(label) == said[label]]
        if lacking and borrowed:
            raise ValueError(
                f"language {self.language} says '{said[borrowed[0]]}' for {borrowed[0]} and nothing for '{lacking[0]}': "
                "give that an answer in answers"
            )
        return self


def _written_out(values: Mapping[str, Any], language: str) -> bool:
    """Whether no answer was chosen: labels said again, or another language's beside its prompt, as a config written out has them."""
    answers, prompt = values.get("answers") or {}, values.get("prompt")
    others = [name for name, said in _SENTIMENT_ANSWERS.items() if name != language and answers.items() <= said.items()]
    return all(label == answer for label, answer in answers.items()) or any(
        prompt == _SENTIMENT_PROMPTS[name] for name in others
    )


def _trimmed(label: object) -> str:
    return str(label).strip()


class Classification(TemplateTask):
    """The task behind both registry entries; see Task for what its methods promise."""

    version = 2
    """Version 2: answers have the tokens they have behind their prompt, control tokens in a text are letters, braces are doubled."""
    kind: TaskKind = "labels"
    noun = "label"
    headline = ("macro_f1", "accuracy", "mcc")
    tested = ("accuracy", "mcc")
    """MCC is for labels of unequal size: guessing and the majority class both have 0 of it, where macro-F1 puts any guess above that."""

    def __init__(self, options: ClassificationOptions) -> None:
        super().__init__(options)
        gap = self.template.gap
        self._choices = {label: gap + options.answers.get(label, label).strip() for label in options.labels}
        self._own = {label: label for label in options.labels}  # one object a label, whatever the number of rows
        self._labels = {answer.strip(): label for label, answer in self._choices.items()}

    def parse(self, row: Row) -> Sequence[Example | Fault]:
        """See Task."""
        if row.target is not None and row.target in self._choices:
            return [Example(row.id, row.fields, self._own[row.target], date=row.date, group=row.group)]
        near = did_you_mean(row.target or "", self._own)
        problem = f"label '{row.target or ''}' is not one of {', '.join(self._own)}"
        own = "task.labels (examples/own-labels.yaml)" if self.name == "sentiment" else "task.labels"
        hint = f"{near} Mend the row, set {own}, or data.label_map."
        where, value = row.id, row.target or ""
        return [Fault(where=where, problem=problem, hint=hint, kind="unknown-label", value=value, text=row.text)]

    def target(self, example: Example) -> str:
        """See Task."""
        return self._choices[str(example.target)]

    def choices(self, example: Example | None = None) -> Mapping[str, str]:
        """See Task."""
        return self._choices

    def parse_answer(self, text: str, example: Example) -> str | None:
        """See Task: never a substring match."""
        return self._labels.get(text.strip())

    def score(self, predictions: Sequence[Prediction], weights: "Floats") -> Mapping[str, "Floats"]:
        """See Task."""
        from fintune.tasks.confusion import label_series

        gold, answers = [p.gold for p in predictions], [p.answer for p in predictions]
        return label_series(gold, answers, list(self._own), weights)

    def stratum(self, example: Example) -> str:
        """See Task."""
        return str(example.target)


CLASSIFICATION = TaskEntry(
    "classification",
    "one label of a closed set per text",
    ClassificationOptions,
    Classification,
    METRICS_OF_LABELS,
    sample={"labels": ["first label", "second label"]},
)
SENTIMENT = TaskEntry(
    "sentiment",
    "classification preset: negative, neutral, positive (en, zh)",
    SentimentOptions,
    Classification,
    METRICS_OF_LABELS,
)

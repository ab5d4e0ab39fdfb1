"""One label of a closed set for each text, and the preset for financial sentiment.

The template ends in `{answer}`: the blank before it belongs to the answer, so that training and scoring see the same tokens.

>>> options = ClassificationOptions(labels=["negative", "positive"])
>>> str(Classification(options).prompt("Profit rose.")), Classification(options).answer("positive")
('Profit rose.\\nLabel:', ' positive')
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fintune.errors import did_you_mean
from fintune.records import Example, Fault, Prompt, Row
from fintune.tasks.protocol import TaskEntry, TaskOptions

_TEXT, _ANSWER = "{text}", "{answer}"

_SENTIMENT_PROMPTS = {"en": "{text}\nSentiment: {answer}", "zh": "{text}\n情绪：{answer}"}
_SENTIMENT_ANSWERS = {
    "en": {"negative": "negative", "neutral": "neutral", "positive": "positive"},
    "zh": {"negative": "负面", "neutral": "中性", "positive": "正面"},
}


class ClassificationOptions(TaskOptions):
    """Settings of task `classification`."""

    name: Literal["classification"] = "classification"
    labels: list[str] = Field(min_length=2, description="The closed set of labels, as they stand in the data.")
    prompt: str = Field("{text}\nLabel: {answer}", description="Template: {text} once, then {answer} at the very end.")
    answers: dict[str, str] = Field(
        default_factory=dict, description="What the model says for a label, where that is not the label itself."
    )

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str]) -> list[str]:
        if len({label.strip() for label in labels}) < len(labels) or not all(label.strip() for label in labels):
            raise ValueError("labels must differ and not be empty")
        return [label.strip() for label in labels]

    @field_validator("prompt")
    @classmethod
    def _template_is_whole(cls, prompt: str) -> str:
        if prompt.count(_TEXT) != 1 or prompt.count(_ANSWER) != 1 or not prompt.endswith(_ANSWER):
            raise ValueError("the template needs {text} once and must end with {answer}")
        return prompt

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
    language: Literal["en", "zh"] = Field("en", description="Language of prompt and answers (texts may be any).")
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
        if values.get("prompt") in (None, *_SENTIMENT_PROMPTS.values()):
            own["prompt"] = _SENTIMENT_PROMPTS[language]
        standard = values.get("labels") in (None, list(_SENTIMENT_ANSWERS["en"]))
        if standard and values.get("answers") in (None, {}, *_SENTIMENT_ANSWERS.values()):
            own["answers"] = _SENTIMENT_ANSWERS[language]
        return values | own


class Classification:
    """The task behind both registry entries; see Task for what its methods promise."""

    version = 2
    """2: answers have the tokens they have behind their prompt; control tokens in a text are letters"""

    def __init__(self, options: ClassificationOptions) -> None:
        self.name: str = options.name
        self.labels: Sequence[str] = tuple(options.labels)
        before, after = options.prompt.removesuffix(_ANSWER).split(_TEXT)
        self._before, self._after = before, after.rstrip()
        self._gap = after[len(self._after) :]
        self._answers = {label: self._gap + options.answers.get(label, label).strip() for label in self.labels}
        self._own = {label: label for label in self.labels}  # one object a label, whatever the number of rows
        self._labels = {answer.strip(): label for label, answer in self._answers.items()}

    def parse(self, row: Row) -> Example | Fault:
        """See Task."""
        if row.label is not None and row.label in self._answers:
            return Example(row.id, row.text, self._own[row.label], row.date, row.group)
        near = did_you_mean(row.label or "", self.labels)
        problem = f"label '{row.label or ''}' is not one of {', '.join(self.labels)}"
        return Fault(
            row.id,
            problem,
            f"{near} Mend the row, set task.labels, or data.label_map.",
            "unknown-label",
            row.label or "",
            row.text,
        )

    def prompt(self, text: str) -> Prompt:
        """See Task."""
        return Prompt(self._before, text, self._after)

    def answer(self, label: str) -> str:
        """See Task."""
        return self._answers[label]

    def candidates(self) -> Sequence[str]:
        """See Task."""
        return [self._answers[label] for label in self.labels]

    def parse_answer(self, answer: str) -> str | None:
        """See Task."""
        return self._labels.get(answer.strip())


CLASSIFICATION = TaskEntry(
    "classification", "one label of a closed set per text", ClassificationOptions, Classification
)
SENTIMENT = TaskEntry(
    "sentiment", "classification preset: negative, neutral, positive (en, zh)", SentimentOptions, Classification
)

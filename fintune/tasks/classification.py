"""One label of a closed set for each text, and the preset for financial sentiment.

The template ends in `{answer}`: the blank before it belongs to the answer, so that training and scoring see the same tokens.

>>> options = ClassificationOptions(labels=["negative", "positive"])
>>> str(Classification(options).prompt("Profit rose.")), Classification(options).answer("positive")
('Profit rose.\\nLabel:', ' positive')
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fintune.errors import did_you_mean
from fintune.records import Example, Fault, Prompt, Row
from fintune.tasks.protocol import TaskEntry, TaskOptions

_LONGEST_LABEL = 200
"""Characters of a label: longer ones are texts, and every table would hold them."""
_PLACEHOLDERS = ["text", "answer"]
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
"""A brace that is meant (doubled), a placeholder, a lone brace."""

_SENTIMENT_PROMPTS = {"en": "{text}\nSentiment: {answer}", "zh": "{text}\n情绪：{answer}"}
_SENTIMENT_ANSWERS = {
    "en": {"negative": "negative", "neutral": "neutral", "positive": "positive"},
    "zh": {"negative": "负面", "neutral": "中性", "positive": "正面"},
}


class ClassificationOptions(TaskOptions):
    """Settings of task `classification`."""

    name: Literal["classification"] = "classification"
    labels: list[str] = Field(min_length=2, description="The closed set of labels, as they stand in the data.")
    prompt: str = Field(
        "{text}\nLabel: {answer}",
        description="Template: {text} once, then {answer} at the very end; a brace itself is written {{ or }}.",
    )
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

    @field_validator("prompt")
    @classmethod
    def _template_is_whole(cls, prompt: str) -> str:
        pieces = list(_BRACES.finditer(prompt))
        names = [piece[1] for piece in pieces if piece[1] is not None]
        if unknown := [name for name in names if name not in _PLACEHOLDERS]:
            near = did_you_mean(unknown[0], _PLACEHOLDERS)
            raise ValueError(
                f"no placeholder is called {{{unknown[0]}}}. {near} A brace itself is written {{{{ or }}}}"
            )
        if any(piece[0] in ("{", "}") for piece in pieces):
            raise ValueError("a lone brace: a brace itself is written {{ or }}")
        if names != _PLACEHOLDERS or pieces[-1].end() != len(prompt):
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


def _literals(prompt: str) -> tuple[str, str]:
    """Return what a template has before the text, and between text and answer."""
    text, answer = (piece.span() for piece in _BRACES.finditer(prompt) if piece[1] is not None)
    before, after = prompt[: text[0]], prompt[text[1] : answer[0]]
    return _BRACES.sub(lambda piece: piece[0][0], before), _BRACES.sub(lambda piece: piece[0][0], after)


class SentimentOptions(ClassificationOptions):
    """Settings of task `sentiment`: a classification whose labels, prompt and answers are set by `language`."""

    name: Literal["sentiment"] = "sentiment"  # type: ignore[assignment]
    language: Literal["en", "zh"] = Field(
        "en", description="Language of the prompt, and of the answer for every label it has one for (texts may be any)."
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
        if values.get("prompt") in (None, *_SENTIMENT_PROMPTS.values()):
            own["prompt"] = _SENTIMENT_PROMPTS[language]
        labels, answers = values.get("labels"), values.get("answers")
        names = list(_SENTIMENT_ANSWERS["en"]) if labels is None else labels
        if isinstance(names, list) and isinstance(answers, Mapping | None):
            chosen = {} if _written_out(values, language) else {str(k): v for k, v in (answers or {}).items()}
            said = _SENTIMENT_ANSWERS[language]
            own["answers"] = {name: said[name] for name in map(_trimmed, names) if name in said} | chosen
        return values | own

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


class Classification:
    """The task behind both registry entries; see Task for what its methods promise."""

    version = 2
    """Version 2: answers have the tokens they have behind their prompt, control tokens in a text are letters, braces are doubled."""

    def __init__(self, options: ClassificationOptions) -> None:
        self.name: str = options.name
        self.labels: Sequence[str] = tuple(options.labels)
        before, after = _literals(options.prompt)
        self._before, self._after = before, after.rstrip()
        self._gap = after[len(self._after) :]
        self._answers = {label: self._gap + options.answers.get(label, label).strip() for label in self.labels}
        self._own = {label: label for label in self.labels}  # one object a label, whatever the number of rows
        self._labels = {answer.strip(): label for label, answer in self._answers.items()}

    def parse(self, row: Row) -> Example | Fault:
        """See Task."""
        if row.label is not None and row.label in self._answers:
            return Example(row.id, row.text, self._own[row.label], date=row.date, group=row.group)
        near = did_you_mean(row.label or "", self.labels)
        problem = f"label '{row.label or ''}' is not one of {', '.join(self.labels)}"
        hint = f"{near} Mend the row, set task.labels, or data.label_map."
        return Fault(
            where=row.id, problem=problem, hint=hint, kind="unknown-label", value=row.label or "", text=row.text
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

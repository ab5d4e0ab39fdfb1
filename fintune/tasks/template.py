"""The template of a task's prompts: columns in braces, the answer at the end.

The blank before `{answer}` belongs to the answer, so that training and scoring see the same tokens.

Example:
    template = Template("{title}\n{text}\nLabel: {answer}", shortened=["text"])
    template.fields, str(template.fill({"title": "Q3", "text": "Profit rose."})), template.gap
    # (('title', 'text'), 'Q3\nProfit rose.\nLabel:', ' ')
"""

import re
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from fintune.errors import did_you_mean
from fintune.records import TEXT, Example, PieceKind, Prompt
from fintune.tasks.protocol import TaskDefaults, TaskOptions

TEMPLATE = "Template: {text}, or other columns by name, each once, then {answer} at the very end; a brace itself is written {{ or }}."
"""What help says of a template."""
_ANSWER = "answer"
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
"""A brace that is meant (doubled), a placeholder, a lone brace."""


class Template:
    """A template that is whole; see need_whole."""

    def __init__(self, prompt: str, shortened: Sequence[str] = ()) -> None:
        pieces, place = [], 0
        for match in _placeholders(prompt):
            pieces.append((_plain(prompt[place : match.start()]), match[1]))
            place = match.end()
        (*self._pieces, (last, _)) = pieces
        self._after = last.rstrip()
        self.gap = last[len(self._after) :]
        self.fields = tuple(name for _, name in self._pieces)
        """Names of the columns it reads, in its order."""
        self._shortened = frozenset(shortened or ([TEXT] if TEXT in self.fields else self.fields))

    def fill(self, fields: Mapping[str, str]) -> Prompt:
        """Return the prompt of a record; those of its fields that are marked so may be shortened."""
        pieces: list[tuple[str, PieceKind]] = []
        for literal, name in self._pieces:
            pieces += [(literal, "template"), (fields[name], "shortened" if name in self._shortened else "field")]
        return Prompt((*pieces, (self._after, "template")))


class TemplateOptions(TaskOptions):
    """Settings of tasks whose prompt is a template."""

    prompt: str = Field("{text}\nAnswer: {answer}", description=TEMPLATE)
    shortened: list[str] = Field(
        [],
        description="Columns of the template that may lose their middle in a prompt that is too long; []: text, else all.",
    )

    @field_validator("prompt")
    @classmethod
    def _template_is_whole(cls, prompt: str) -> str:
        need_whole(prompt)
        return prompt

    @model_validator(mode="after")
    def _shortened_are_columns(self) -> Self:
        fields = need_whole(self.prompt)
        if foreign := next((name for name in self.shortened if name not in fields), None):
            raise ValueError(f"shortened names '{foreign}', and the template has {', '.join(fields)}")
        return self

    def template(self) -> Template:
        """Return the template that they describe."""
        return Template(self.prompt, self.shortened)


class TemplateTask(TaskDefaults):
    """What tasks have in common whose prompt is a template: its name, the columns it reads, the prompt."""

    def __init__(self, options: TemplateOptions) -> None:
        self.name: str = options.name
        self.template = options.template()
        self.fields: Sequence[str] = self.template.fields

    def prompt(self, example: Example) -> Prompt:
        """See Task."""
        return self.template.fill(example.fields)


def need_whole(prompt: str) -> list[str]:
    """Return the columns that a template names. Raises ValueError where it is none."""
    pieces = list(_BRACES.finditer(prompt))
    if any(piece[0] in ("{", "}") for piece in pieces):
        raise ValueError("a lone brace: a brace itself is written {{ or }}")
    *fields, last = [piece[1] for piece in _placeholders(prompt)] or [""]
    if last != _ANSWER or not prompt.endswith("{answer}") or not fields:
        raise ValueError("the template needs a column, such as {text}, and must end with {answer}")
    odd = next((name for name in fields if name != name.strip() or not name or name == _ANSWER), None)
    if odd is not None:
        near = did_you_mean(odd.strip(), [TEXT])
        raise ValueError(f"{{{odd}}} is no column. {near} A brace itself is written {{{{ or }}}}")
    if doubled := next((name for name in fields if fields.count(name) > 1), None):
        raise ValueError(f"{{{doubled}}} stands there twice")
    return fields


def _placeholders(prompt: str) -> list[re.Match[str]]:
    return [piece for piece in _BRACES.finditer(prompt) if piece[1] is not None]


def _plain(literal: str) -> str:
    return _BRACES.sub(lambda piece: piece[0][0], literal)

"""Section `task` that answers come to: which task, its labels, and a prompt in the language of the texts.

>>> task_of(AnswerSet(kind="labels", labels=["fraud", "loan"]), ["title", "body"], ["The card was copied."])
{'name': 'classification', 'labels': ['fraud', 'loan'], 'prompt': '{title}\\n{body}\\nLabel: {answer}'}
"""

from collections.abc import Sequence
from typing import Literal

from fintune.data.guess.answers import AnswerSet
from fintune.records import TEXT
from fintune.runtime.scripts import lacks_blanks

GUESSED = ("sentiment", "classification", "regression")
"""Tasks whose settings are found in the answers."""
_SENTIMENTS = ["negative", "neutral", "positive"]
_ASKED = {
    "en": {"sentiment": "Sentiment: ", "label": "Label: ", "score": "Score: "},
    "zh": {"sentiment": "情绪：", "label": "类别：", "score": "分数："},
}
_SAMPLE = 200


def task_of(
    answers: AnswerSet,
    columns: Sequence[str],
    texts: Sequence[str],
    wanted: str | None = None,
    *,
    about: Sequence[str] = (),
) -> dict[str, object]:
    """Return the settings of the task.

    `columns` are those of the text, `texts` some of their values, `wanted` the task if it is given, `about` columns with what
    an answer is about.
    """
    language = language_of(texts)
    name = wanted or (
        "regression" if answers.kind == "numbers" else "sentiment" if answers.sentiment else "classification"
    )
    if name == "sentiment":
        own: dict[str, object] = {} if language == "en" else {"language": language}
        own |= {} if list(answers.labels) == _SENTIMENTS else {"labels": list(answers.labels)}
        own |= (
            {}
            if len(columns) == 1 and not about
            else {"prompt": _prompt(columns, _ASKED[language]["sentiment"], about)}
        )
    elif name == "classification":
        own = {"labels": list(answers.labels), "prompt": _prompt(columns, _ASKED[language]["label"], about)}
    elif name == "regression":
        low, high = answers.ends
        own = {"low": low, "high": high, "prompt": _prompt(columns, _ASKED[language]["score"], about)}
    else:
        own = {}
    return {"name": name} | own


def _prompt(columns: Sequence[str], asked: str, about: Sequence[str]) -> str:
    """Return a template over the columns."""
    own = through_text(columns)
    names = [*(TEXT if name == own else name for name in columns), *about]
    return "\n".join(f"{{{name}}}" for name in names) + f"\n{asked}{{answer}}"


def through_text(columns: Sequence[str]) -> str | None:
    """Return the column that a prompt reads as `{text}`: the only one, or one whose name no placeholder can bear."""
    if len(columns) == 1:
        return columns[0]
    return next((name for name in columns if name == "answer" or name != name.strip() or {"{", "}"} & set(name)), None)


def language_of(texts: Sequence[str]) -> Literal["en", "zh"]:
    """Return the language of prompt and answers: Chinese for texts that are, else English."""
    return "zh" if lacks_blanks(texts[:_SAMPLE]) else "en"

"""Which words moved an answer: each is left out in turn, and the answer asked for again.

Occlusion after Zeiler & Fergus (arXiv 1311.2901) and Li et al. (arXiv 1612.08220). It says how the model's answer depends on a
word with all others in place, not why: words that say the same hide each other, and a text with a hole is not what it was tuned on.

Example:
    attribute(engine, task, [Example("1", {"text": "Operating loss narrowed."}, None)])[0].words
    # [Word(text='Operating', effect=0.02), Word(text='loss', effect=-0.11), Word(text='narrowed', effect=0.74)]
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from fintune.errors import UsageError
from fintune.inference.answer import predict
from fintune.inference.calibration.record import Calibration
from fintune.inference.confidence import surest_mistakes
from fintune.inference.engines import Engine
from fintune.records import Answer, Example, Prediction
from fintune.runs.schema import AttributionRecord
from fintune.tasks import Task

_ALONE = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
"""Ranges of characters of scripts without blanks: each is a word."""
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+(?:[-.,'’&/][^\W{_ALONE}]+)*%?")


@dataclass(frozen=True)
class Word:
    """`effect`: by how much the answer's probability, or the number that is the answer, falls when it is left out; below 0 it rises."""

    text: str
    effect: float


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """An answer, its probability, and the words of the text in order."""

    id: str
    text: str
    answer: Answer | None
    probability: float | None
    """Of the answer, where it is a choice."""
    words: list[Word]

    def record(self) -> AttributionRecord:
        """Return it as programs and attributions.json have it."""
        return {
            "id": self.id,
            "text": self.text,
            "answer": list(self.answer) if isinstance(self.answer, tuple) else self.answer,
            "probability": self.probability,
            "words": [{"text": word.text, "effect": word.effect} for word in self.words],
        }


def attribute(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    calibration: Calibration | None = None,
    *,
    stage: str = "explain",
) -> list[Attribution]:
    """Answer each example, and again without each of its words: all in one call. Raises UsageError where answers are written."""
    if any(task.choices(example) is None for example in examples):
        raise UsageError(
            f"explain: the answers of task {task.name} are written, and no probability of theirs is known",
            hint="It explains tasks with a closed set of answers.",
        )
    spans = [[(name, m.span()) for name, text in e.fields.items() for m in _WORD.finditer(text)] for e in examples]
    variants = [
        variant
        for example, words in zip(examples, spans, strict=True)
        for variant in (example, *(_shorter(example, name, span) for name, span in words))
    ]
    predictions = predict(engine, task, [replace(e, target=None) for e in variants], stage=stage).predictions
    if calibration is not None:
        predictions = calibration.applied(predictions, task)
    ends = [0, *accumulate(len(words) + 1 for words in spans)]
    return [
        _attribution(examples[i], spans[i], predictions[start:stop]) for i, (start, stop) in enumerate(pairwise(ends))
    ]


def select_interesting(predictions: Sequence[Prediction], most: int = 5) -> list[Prediction]:
    """Return the predictions one wants explained: the most confident mistakes, then the most uncertain of the others.

    Of numbers they are those that are off by most.
    """
    if any(isinstance(p.answer, float) for p in predictions):
        return sorted(predictions, key=lambda p: -_error(p))[: 2 * most]
    wrong = surest_mistakes(predictions, most)
    rest = [p for p in predictions if not any(p is w for w in wrong)]
    return wrong + sorted(rest, key=lambda p: p.confidence)[:most]


def _error(prediction: Prediction) -> float:
    """Return by how much a number is off; one that could not be read by most."""
    answer, gold = prediction.answer, prediction.gold
    return abs(answer - gold) if isinstance(answer, float) and isinstance(gold, float) else math.inf


def _attribution(
    example: Example, spans: Sequence[tuple[str, tuple[int, int]]], predictions: Sequence[Prediction]
) -> Attribution:
    whole, without = predictions[0], predictions[1:]
    words = [
        Word(example.fields[name][a:b], _value(whole, whole) - _value(shorter, whole))
        for (name, (a, b)), shorter in zip(spans, without, strict=True)
    ]
    probability = whole.confidence if isinstance(whole.answer, str) else None
    return Attribution(id=example.id, text=example.text, answer=whole.answer, probability=probability, words=words)


def _value(prediction: Prediction, whole: Prediction) -> float:
    """Return what a word moves: the probability of the whole text's answer, or the number that is the answer."""
    if isinstance(prediction.answer, float):
        return prediction.answer
    return prediction.probabilities.get(str(whole.answer), 0.0)


def _shorter(example: Example, name: str, span: tuple[int, int]) -> Example:
    return replace(example, fields={**example.fields, name: _without(example.fields[name], span)})


def _without(text: str, span: tuple[int, int]) -> str:
    """Return the text without a word, and without a blank that would be doubled or stand before a comma or the end."""
    before, behind = text[: span[0]], text[span[1] :]
    if behind[:1].isspace() and (not before or before[-1].isspace()):
        return before + behind[1:]
    return before[:-1] + behind if before[-1:].isspace() and not behind[:1].isalnum() else before + behind

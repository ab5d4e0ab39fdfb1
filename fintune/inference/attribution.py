"""Which words moved an answer: each is left out in turn, and the answer asked for again.

Occlusion after Zeiler & Fergus (arXiv 1311.2901) and Li et al. (arXiv 1612.08220). It says how the model's answer depends on a
word with all others in place, not why: words that say the same hide each other, and a text with a hole is not what it was tuned on.

>>> attribute(engine, task, ["Operating loss narrowed."], ["1"])[0].words
[Word(text='Operating', effect=0.02), Word(text='loss', effect=-0.11), Word(text='narrowed', effect=0.74)]
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from fintune.inference.answer import predict
from fintune.inference.confidence import surest_mistakes
from fintune.inference.engines import Engine
from fintune.records import Prediction
from fintune.runs.schema import AttributionRecord
from fintune.tasks import Task

_ALONE = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
"""Ranges of characters of scripts without blanks: each is a word."""
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+(?:[-.,'’&/][^\W{_ALONE}]+)*%?")


@dataclass(frozen=True)
class Word:
    """`effect`: by how much the answer's probability falls when it is left out; below 0 it spoke against the answer."""

    text: str
    effect: float


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """An answer, its probability, and the words of the text in order."""

    id: str
    text: str
    label: str | None
    probability: float
    words: list[Word]

    def record(self) -> AttributionRecord:
        """Return it as programs and attributions.json have it."""
        return {
            "id": self.id,
            "text": self.text,
            "label": self.label,
            "probability": self.probability,
            "words": [{"text": word.text, "effect": word.effect} for word in self.words],
        }


def attribute(
    engine: Engine, task: Task, texts: Sequence[str], ids: Sequence[str], *, stage: str = "explain"
) -> list[Attribution]:
    """Answer each text, and again without each of its words: all are ranked in one call."""
    spans = [[match.span() for match in _WORD.finditer(text)] for text in texts]
    variants = [
        t for text, words in zip(texts, spans, strict=True) for t in (text, *(_without(text, w) for w in words))
    ]
    predictions, _ = predict(engine, task, variants, [str(i) for i in range(len(variants))], stage=stage)
    ends = [0, *accumulate(len(words) + 1 for words in spans)]
    return [_attribution(ids[i], spans[i], predictions[start:stop]) for i, (start, stop) in enumerate(pairwise(ends))]


def select_interesting(predictions: Sequence[Prediction], most: int = 5) -> list[Prediction]:
    """Return the predictions one wants explained: the most confident mistakes, then the most uncertain of the other texts."""
    wrong = surest_mistakes(predictions, most)
    rest = [p for p in predictions if not any(p is w for w in wrong)]
    return wrong + sorted(rest, key=lambda p: p.confidence)[:most]


def _attribution(name: str, spans: Sequence[tuple[int, int]], predictions: Sequence[Prediction]) -> Attribution:
    whole, without = predictions[0], predictions[1:]
    label = whole.label or ""
    effects = [whole.confidence - p.probabilities.get(label, 0.0) for p in without]
    words = [Word(whole.text[a:b], effect) for (a, b), effect in zip(spans, effects, strict=True)]
    return Attribution(id=name, text=whole.text, label=whole.label, probability=whole.confidence, words=words)


def _without(text: str, span: tuple[int, int]) -> str:
    """Return the text without a word, and without a blank that would be doubled or stand before a comma or the end."""
    before, behind = text[: span[0]], text[span[1] :]
    if behind[:1].isspace() and (not before or before[-1].isspace()):
        return before + behind[1:]
    return before[:-1] + behind if before[-1:].isspace() and not behind[:1].isalnum() else before + behind

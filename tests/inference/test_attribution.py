"""Words are left out one at a time, and what the answer loses by it is their effect."""

from typing import Any

import numpy as np
import pytest

from fintune.inference.attribution import _WORD, attribute, select_interesting
from fintune.inference.engines import Ranking
from fintune.records import Example, Prediction
from fintune.tasks.classification import Classification, SentimentOptions
from tests.made_records import prediction

TASK = Classification(SentimentOptions())


def asked(texts: list[str], ids: list[str]) -> list[Example]:
    return [Example(name, {"text": text}, None) for name, text in zip(ids, texts, strict=True)]


class Counter:
    """Answers positive with 0.5 + 0.2 for each "up", - 0.1 for each "down"; remembers the texts it was given."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def rank(self, prompts: Any, candidates: Any, *, stage: str = "score") -> Ranking:
        texts = [p.pieces[1][0] for p in prompts]
        self.calls.append(texts)
        good = np.array([0.5 + 0.2 * t.count("up") - 0.1 * t.count("down") + 0.2 * t.count("涨") for t in texts])
        scores = np.log(np.stack([(1 - good) / 2, (1 - good) / 2, good], axis=1))
        return Ranking(scores, np.ones(3, dtype=np.int64), np.zeros(len(texts), dtype=np.int64))


def test_effects_are_what_the_answer_loses() -> None:
    engine = Counter()
    first, second = attribute(engine, TASK, asked(["Sales up, costs down.", "up"], ["a", "b"]))
    assert (first.id, first.answer, first.probability) == ("a", "positive", pytest.approx(0.6))
    assert [(w.text, round(w.effect, 6)) for w in first.words] == [
        ("Sales", 0.0), ("up", 0.2), ("costs", 0.0), ("down", -0.1)
    ]  # fmt: skip
    assert [(w.text, round(w.effect, 6)) for w in second.words] == [("up", 0.2)]
    assert engine.calls == [
        [
            "Sales up, costs down.",
            "up, costs down.",
            "Sales, costs down.",
            "Sales up, down.",
            "Sales up, costs.",
            "up",
            "",
        ]
    ], "all in one call"


def test_without_an_effect_on_its_own_label_a_word_counts_nothing() -> None:
    (found,) = attribute(Counter(), TASK, asked(["Nothing new"], ["1"]))
    assert [w.effect for w in found.words] == [0.0, 0.0]
    assert found.record()["words"][0] == {"text": "Nothing", "effect": 0.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("EUR 9.8 mn, up 12%.", ["EUR", "9.8", "mn", "up", "12%"]),
        ("The company's year-on-year R&D", ["The", "company's", "year-on-year", "R&D"]),
        ("净利上涨12%", ["净", "利", "上", "涨", "12%"]),
        ("A股rally", ["A", "股", "rally"]),
        ("café naïve", ["café", "naïve"]),
        ("...", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert _WORD.findall(text) == words


def test_chinese_by_character() -> None:
    engine = Counter()
    (found,) = attribute(engine, TASK, asked(["股价涨"], ["1"]))
    assert [(w.text, round(w.effect, 6)) for w in found.words] == [("股", 0.0), ("价", 0.0), ("涨", 0.2)]
    assert engine.calls == [["股价涨", "价涨", "股涨", "股价"]]


def answered(name: str, label: str, gold: str, confidence: float) -> Prediction:
    return prediction(name, name, label, label, {label: confidence}, gold)


def test_select_interesting_takes_confident_mistakes_then_uncertain_others() -> None:
    predictions = [
        answered("sure mistake", "a", "b", 0.9),
        answered("surer mistake", "a", "b", 0.95),
        answered("timid mistake", "a", "b", 0.4),
        answered("certain", "a", "a", 0.99),
        answered("unsure", "a", "a", 0.5),
    ]
    assert [p.id for p in select_interesting(predictions, 2)] == [
        "surer mistake",
        "sure mistake",
        "timid mistake",
        "unsure",
    ]

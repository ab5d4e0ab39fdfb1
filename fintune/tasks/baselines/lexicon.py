"""A baseline that needs no data and no model: a finance word list of our own and a few rules, English and Chinese.

Directions act on things ("loss narrowed" is good, "sales fell" is bad), some words speak for themselves, negations turn them
around; a text that adds up to nothing is neutral. Words and their license: lexicon.tsv. Rules were chosen on training rows.

>>> verdict("Operating loss narrowed to EUR 2 mn."), verdict("营收下滑，成本上升。")
(1.0, -2.0)
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fintune.tasks.baselines.protocol import Answers, BaselineInput

LABELS = ("negative", "neutral", "positive")
"""The label set that the word list knows."""

_SIGN = {"up": 1, "down": -1, "good": 1, "bad": -1, "positive": 1, "negative": -1}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\d\s])|[;；。！？\n]")
_TOKEN = re.compile(r"[a-z]+(?:[-'][a-z]+)*|\d[\d.,]*|[\u3400-\u9fff]")
_AMOUNT = re.compile(r"\d[\d,]*(?:\s?\.\d+)?")
_REACH = 3
"""Words within which a negation acts."""


@dataclass(frozen=True)
class _Hit:
    kind: str
    place: int
    """Number of the hit's first word in the sentence."""
    words: int
    end: int
    """Where the hit ends, in characters."""


def answer(visible: BaselineInput) -> Answers:
    """Return the label of each text by the sign of its verdict."""
    verdicts = [verdict(text) for text in visible.texts]
    return Answers(["neutral" if not v else "positive" if v > 0 else "negative" for v in verdicts])


def verdict(text: str) -> float:
    """How good the news is: what its sentences' directions and words add up to."""
    return float(sum(_sentence(sentence) for sentence in _SENTENCE.split(text.lower())))


def _sentence(sentence: str) -> int:
    hits = _hits(sentence)
    things = [h for h in hits if h.kind in ("good", "bad")]
    total = 0
    for hit in hits:
        if hit.kind in ("up", "down"):
            total += _turned(hit, hits) * _SIGN[hit.kind] * _acted_on(hit, things)
        elif hit.kind in ("positive", "negative"):
            total += _turned(hit, hits) * _SIGN[hit.kind]
    return total or _compared(sentence, hits)


def _compared(sentence: str, hits: list[_Hit]) -> int:
    """Where nothing else speaks: a profit against a loss, or two amounts of one thing ("was 9.8 mn, compared with 12.7 mn")."""
    than = next((h for h in hits if h.kind == "than"), None)
    things = [h for h in hits if h.kind in ("good", "bad")]
    before = [h for h in things if than is not None and h.place < than.place]
    if than is None or not before:
        return 0
    behind = [_SIGN[h.kind] for h in things if h.place > than.place]
    thing = _SIGN[before[-1].kind]
    if behind and behind[0] != thing:
        return thing
    now, then = (_amount(sentence[start:]) for start in (before[-1].end, than.end))
    return 0 if now is None or then is None else thing * ((now > then) - (now < then))


def _amount(text: str) -> float | None:
    """Return the first number that is no year."""
    for number in _AMOUNT.finditer(text):
        value = float(re.sub(r"[\s,]", "", number.group()))
        if not (number.group().isdigit() and 1900 <= value <= 2100):
            return value
    return None


def _acted_on(direction: _Hit, things: list[_Hit]) -> int:
    """Return the sign of the nearest thing; a direction without one is a rise or fall of something good."""
    near = min(things, key=lambda thing: abs(thing.place - direction.place), default=None)
    return 1 if near is None else _SIGN[near.kind]


def _turned(hit: _Hit, hits: list[_Hit]) -> int:
    """-1 close behind a negation, else 1."""
    before = [h for h in hits if h.kind == "not" and 0 < hit.place - h.place - h.words + 1 <= _REACH]
    return -1 if len(before) % 2 else 1


def _hits(sentence: str) -> list[_Hit]:
    starts = [token.start() for token in _TOKEN.finditer(sentence)]
    pattern, kinds = _words()
    hits = []
    for match in pattern.finditer(sentence):
        place = sum(start < match.start() for start in starts)
        words = sum(match.start() <= start < match.end() for start in starts)
        hits.append(_Hit(kinds[match.group()], place, words, match.end()))
    return hits


@cache
def _words() -> tuple[re.Pattern[str], dict[str, str]]:
    """All forms as one expression, the longest first, and the kind of each."""
    kinds: dict[str, str] = {}
    for line in files("fintune.tasks.baselines").joinpath("lexicon.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, forms = line.split("\t")
            kinds |= dict.fromkeys(forms.split(", "), kind)
    longest = sorted(kinds, key=len, reverse=True)
    words = "|".join(re.escape(form) for form in longest if form.isascii())
    signs = "|".join(re.escape(form) for form in longest if not form.isascii())
    return re.compile(rf"(?<![a-z'-])(?:{words})(?![a-z'-])|{signs}"), kinds

"""How columns are called, and what their names say of them: text, answer, date, group, or something that only looks like one.

>>> answer_strength("Sentiment_final"), answer_strength("annotator_id"), is_of("投诉内容", TEXTS)
(5, -1, True)
"""

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

_WORD = re.compile(r"[A-ZÄÖÜ]+(?=[A-ZÄÖÜ][a-zäöü])|[A-ZÄÖÜ]?[a-zäöüß]+|[A-ZÄÖÜ]+|\d+|[^\W\d_a-zA-Z]+")
_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]?$")
_RANGE = re.compile(r"[(（\[]\s*-?\d+\s*(-|–|\.\.|~|to|到|至)\s*\d+\s*[)）\]]")
"""The ends of a scale, as in `strength (0-100)`."""
_LANGUAGES = ("en", "zh", "cn", "de", "fr", "english", "chinese", "german", "英文", "中文")
_AMBIGUOUS = ("target",)
"""A label in one file, a company or a price in another."""
_MONEY = frozenset(("price", "eps", "revenue", "kurs"))
"""What a target may be of that is no answer."""
_NUMERALS = "一二三四五甲乙"


def _roles() -> dict[str, frozenset[str]]:
    """Read names.txt: the words of each role."""
    roles: dict[str, frozenset[str]] = {}
    role = ""
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            roles[role] |= frozenset(line.split())
        elif line and not line.startswith("#"):
            role = line.removesuffix(":")
            roles[role] = frozenset()
    return roles


_ROLES = _roles()
TEXTS, TITLES, REMARKS, DATES = (_ROLES[role] for role in ("texts", "titles", "remarks", "dates"))
GROUPS, TOKENS, SPEAKERS = (_ROLES[role] for role in ("groups", "tokens", "speakers"))
_GOLD, _ANSWERS, _WEAK, _NEVER = (_ROLES[role] for role in ("gold", "answers", "weak", "never"))
PREDICTED, _UNITS = _ROLES["predicted"], _ROLES["units"]


def words_of(name: str) -> list[str]:
    """Return the words of a name, folded: `SentimentScore_1` is sentiment, score, 1; what stands in brackets is left out."""
    plain = _BRACKETS.sub("", unicodedata.normalize("NFKC", name)).strip() or name
    return [word.casefold() for word in _WORD.findall(plain)]


def is_of(name: str, words: Collection[str]) -> bool:
    """Whether a name, a word of it, or the end of a Chinese word in it, is one of these."""
    return is_plainly(name, words) or any(_is_of(word, words) for word in words_of(name))


def _is_of(word: str, words: Collection[str]) -> bool:
    if word in words or word.isascii():
        return word in words
    stem = word.rstrip(_NUMERALS) or word
    return any(stem.endswith(one) for one in words if len(one) > 1 and not one.isascii())


def is_plainly(name: str, words: Collection[str]) -> bool:
    """Whether a name as a whole is one of these."""
    return "".join(words_of(name)) in words


def stem_of(name: str) -> str:
    """Return a name without the number or letter at its end that tells it from its like: `sentence1`, `label_b`, `标注二`."""
    words = words_of(name)
    last = words[-1] if words else ""
    if len(words) > 1 and (last.isdecimal() or last in ("a", "b", "c", "i", "ii")):
        words = words[:-1]
    return "".join(words).rstrip(_NUMERALS)


def without_language(name: str) -> str:
    """Return a name without the language in it: of `txt_en` and `txt_zh`, txt."""
    return "".join(word for word in words_of(name) if word not in _LANGUAGES)


def answer_strength(name: str) -> int:
    """Return how much a name speaks for the answer: 3 label, 2 sentiment, both 5, 1 score, 0 nothing, -1 against it.

    The last word says what a thing is: `price_sentiment` is a sentiment, `label_source` a source.
    """
    if _RANGE.search(name):
        return 2
    if is_of(name, PREDICTED) or any(word in _UNITS for word in _WORD.findall(name.casefold())):
        return -1
    own = own_name(name)
    if is_plainly(own, _GOLD):
        return 2 if is_plainly(own, _AMBIGUOUS) else 3
    words = [word for word in words_of(own) if not word.isdecimal()]
    strength = (3 if is_of(own, _GOLD) else 0) + (2 if is_of(own, _ANSWERS) else 0)
    strength = strength or ((2 if len(words) > 1 and words[-1] == "score" else 1) if is_of(own, _WEAK) else 0)
    if words[-1:] == list(_AMBIGUOUS):
        strength = -1 if _MONEY & set(words) else min(strength, 2)
    never = words[-1:] and _is_of(words[-1], _NEVER) if strength else is_of(own, _NEVER) or is_of(own, GROUPS)
    return -1 if never else strength


def own_name(path: str) -> str:
    """Return the last part of a path that is no place in a list: of `result.0.choices.0`, choices."""
    return next((part for part in reversed(path.split(".")) if part and not part.isdecimal()), path)

"""Labels that have an order of their own, and numbers that have a scale.

>>> in_order(["positive", "neutral", "negative"]), in_order(["card", "loan"])
(['negative', 'neutral', 'positive'], ['card', 'loan'])
"""

import math
import re
from collections.abc import Sequence

_OF_SENTIMENT: tuple[tuple[str, ...], ...] = (
    ("very negative", "strongly negative", "strong negative", "negative", "moderately negative", "mildly negative", "slightly negative",
     "mixed", "none", "neutral", "mildly positive", "slightly positive", "moderately positive", "positive", "strong positive",
     "strongly positive", "very positive"),
    ("very bearish", "bearish", "neutral", "bullish", "very bullish"),
    ("neg", "neu", "pos"),
    ("negativ", "neutral", "positiv"),
    ("bad", "neutral", "good"),
    ("against", "neither", "neutral", "favor", "favour", "for"),
    ("oppose", "neutral", "support"),
    ("非常负面", "负面", "负向", "消极", "利空", "看空", "看跌", "观望", "中性", "中立",
     "看多", "看涨", "利好", "积极", "正向", "正面", "非常正面"),
)  # fmt: skip
"""Words of sentiment, the worst first."""
_SCALES: tuple[tuple[str, ...], ...] = (
    *_OF_SENTIMENT,
    ("strong sell", "sell", "underperform", "hold", "neutral", "outperform", "buy", "strong buy"),
    ("down", "unchanged", "flat", "constant", "stable", "up"),
    ("dovish", "neutral", "hawkish"),
    ("very low", "low", "medium", "moderate", "normal", "high", "very high", "urgent", "critical"),
    ("p4", "p3", "p2", "p1"),
    ("minor", "moderate", "major", "severe", "critical"),
    ("poor", "fair", "ok", "average", "good", "very good", "excellent"),
    ("unhappy", "neutral", "happy"),
    ("no", "maybe", "yes"),
    ("false", "true"),
    ("n", "y"),
    ("nein", "ja"),
    ("niedrig", "mittel", "hoch", "kritisch"),
    ("低", "较低", "中", "普通", "一般", "较高", "高", "紧急"),
    ("低风险", "中风险", "高风险"),
    ("不满意", "一般", "满意"),
    ("卖出", "减持", "持有", "中性", "增持", "买入"),
    ("差", "中", "良", "优"),
    ("否", "是"),
)  # fmt: skip
_COUNTED = re.compile(r"(\d+)\s*(\D*)")
"""A number and what it counts: 5星, 3 stars."""
_RANGES = (
    (-1.0, 1.0),
    (0.0, 1.0),
    (1.0, 5.0),
    (0.0, 5.0),
    (1.0, 10.0),
    (0.0, 10.0),
    (-5.0, 5.0),
    (0.0, 100.0),
    (-100.0, 100.0),
)


def in_order(labels: Sequence[str]) -> list[str]:
    """Return labels in the order of the scale they are of, numbers by size, others as they come."""
    if all(map(_is_whole, labels)):
        return sorted(labels, key=float)
    if (counted := [_COUNTED.fullmatch(label) for label in labels]) and all(counted):
        numbers = {label: (match[2], int(match[1])) for label, match in zip(labels, counted, strict=True) if match}
        return sorted(labels, key=lambda label: numbers[label])
    if (scale := _scale(labels)) is not None:
        return sorted(labels, key=lambda label: scale.index(_folded(label)))
    return list(labels)


def is_scale(labels: Sequence[str]) -> bool:
    """Whether the labels are of one scale."""
    return _scale(labels) is not None


def are_sentiments(labels: Sequence[str]) -> bool:
    """Whether the labels are words of sentiment."""
    words = {_folded(label) for label in labels}
    return len(words) > 1 and any(words <= set(scale) for scale in _OF_SENTIMENT)


def is_sentiment(label: str) -> bool:
    """Whether a label is a word of sentiment, whatever the others are."""
    return any(_folded(label) in scale for scale in _OF_SENTIMENT)


def range_of(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the smallest usual scale that holds the numbers, else their own ends rounded outwards."""
    low, high = min(numbers), max(numbers)
    fitting = [(a, b) for a, b in _RANGES if a <= low and high <= b]
    if fitting:
        return min(fitting, key=lambda ends: ends[1] - ends[0])
    step = 10 ** math.floor(math.log10(max(abs(low), abs(high), 1e-9)))
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _folded(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split()).rstrip(".")


def _scale(labels: Sequence[str]) -> tuple[str, ...] | None:
    words = {_folded(label) for label in labels}
    return next((scale for scale in _SCALES if words <= set(scale)), None) if len(words) > 1 else None


def _is_whole(label: str) -> bool:
    return label.removesuffix(".0").lstrip("-+").isdecimal()

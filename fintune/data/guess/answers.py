"""What the values of the answer column are: labels and their order, what codes and spellings stand for, numbers and their scale.

>>> answers_of("label", Counter({"Positive": 9, "positive ": 1, "Negative": 8, "Neutral": 7, "Total": 1})).labels
['Negative', 'Neutral', 'Positive']
"""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fintune.data.guess.names import words_of
from fintune.data.guess.profile import folded, is_number
from fintune.data.guess.scales import are_sentiments, in_order, is_scale, range_of

_MISSING = frozenset(
    ("null", "nan", "none", "n/a", "na", "#n/a", "nil", "-", "--", "?", "<na>", "未标注", "无标注", "k.a.")
)
"""How a cell without an answer is written; none where other values are words of a scale with a `none`."""
_RULE = frozenset("-=_+*~ ")
"""Characters of a line under the names, as consoles draw it."""
_TOTALS = frozenset("total totals sum summe gesamt count 合计 总计 小计".split())  # noqa: SIM905
_RARE = 2
"""Rows of a value that may be a misspelling of a frequent one."""
_ALIKE = 0.8
_LARGEST = 1000.0
"""The largest value of a scale; beyond it answers are calculated, not scored."""
_WORDS = 4
"""Words of one of several labels in a cell."""
_SEPARATED = re.compile(r"\s*[;|,/+；、，]\s*")
_LISTED = re.compile(r"[;|；、]")
"""What stands between labels, and nearly never within one."""
_CODES = {
    ("-1", "0", "1"): {"-1": "negative", "0": "neutral", "1": "positive"},
    ("-1", "1"): {"-1": "negative", "1": "positive"},
}
"""Codes that mean the same wherever they are used for a sentiment."""
_SENTIMENT_NAMES = frozenset("sentiment sentiments polarity tone mood 情感 情绪 极性 倾向 stimmung".split())  # noqa: SIM905


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """What answers there are, by the values that stand in the file."""

    kind: str
    """One of labels, numbers, several (labels in a cell), calculated (numbers of no scale)."""
    labels: Sequence[str] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Value in the file: label."""
    ends: tuple[float, float] = (0.0, 0.0)
    decimal_comma: bool = False
    sentiment: bool = False
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Values that are no labels, such as a line of totals, and their rows; "" for rows without one."""
    why: str = ""
    unexplained: bool = False
    """Whether labels are codes, and nothing says what they stand for."""


def answers_of(
    name: str,
    counts: Counter[str],
    meanings: Mapping[str, str] | None = None,
    *,
    scores: bool = False,
    one_a_cell: bool = False,
) -> AnswerSet:
    """Return the answers behind a column's values.

    `meanings` says what codes are called, `scores` that numbers are a scale, `one_a_cell` that no cell holds several labels.
    """
    missing = _missing(counts)
    filled = Counter({value: count for value, count in counts.items() if value not in missing})
    if scores:
        return _numbers(filled, missing)
    if not one_a_cell and several_in(filled):
        return AnswerSet(kind="several", why="cells hold several labels each")
    totals = {v: n for v, n in filled.items() if n <= _RARE and v.casefold().strip(" :") in _TOTALS}
    values = [value for value in filled if value not in totals]
    mapping, why = _mapping(name, Counter({value: filled[value] for value in values}), meanings)
    labels = list(dict.fromkeys(mapping.get(value, value) for value in sorted(values, key=_size)))
    return AnswerSet(
        kind="labels",
        labels=in_order(labels),
        mapping=mapping,
        sentiment=are_sentiments(labels),
        unknown=missing | totals,
        why=f"{len(labels)} values{why}",
        unexplained=all(map(is_number, labels)),
    )


def _mapping(name: str, counts: Counter[str], meanings: Mapping[str, str] | None) -> tuple[dict[str, str], str]:
    """Return value in the file: label, where they differ, and why."""
    if meanings:
        return dict(meanings), ": the file says what its codes mean"
    whole = {value: value.removesuffix(".0") for value in counts}
    known = _CODES.get(tuple(sorted(whole.values())))
    if known is not None and any(word in _SENTIMENT_NAMES for word in words_of(name)):
        return known, ": -1 and 1 of a sentiment"
    if any(value != code and is_number(value) for value, code in whole.items()):
        return whole, ": whole numbers"
    if not (spelled := _spellings(counts)):
        return {}, ""
    why = f"; {len(spelled)} spelled otherwise: {', '.join(list(spelled)[:3])}"
    return {
        value: spelled.get(value, value) for value in counts
    }, why  # a map takes the place of the labels as they stand


def _size(value: str) -> tuple[float, str]:
    """Order codes by size, other values not at all."""
    return (float(value), "") if is_number(value) and "," not in value else (0.0, "")


def _missing(counts: Counter[str]) -> dict[str, int]:
    """Return the rows of each value that says there is none."""
    missing = {value: count for value, count in counts.items() if not value or is_missing(value)}
    if len(missing) == len(counts):  # + and - are labels where there are no others
        return {"": counts[""]} if counts[""] else {}
    none = [value for value in missing if value.casefold() == "none"]
    if none and is_scale([*none, *(value for value in counts if value not in missing)]):
        del missing[none[0]]
    return missing


def is_missing(value: str) -> bool:
    """Whether a value says that there is none."""
    return value.casefold() in _MISSING or set(value) <= _RULE


def _numbers(counts: Counter[str], missing: dict[str, int]) -> AnswerSet:
    comma = any("," in value for value in counts)
    values = [float(value.replace(",", ".")) for value in counts if is_number(value)]
    if not values:
        return AnswerSet(kind="numbers", ends=(-1.0, 1.0), why="no numbers")
    if max(map(abs, values)) > _LARGEST:
        return AnswerSet(kind="calculated")
    low, high = range_of(values)
    return AnswerSet(
        kind="numbers",
        ends=(low, high),
        decimal_comma=comma,
        unknown=missing | {value: count for value, count in counts.items() if not is_number(value)},
        why=f"numbers from {min(values):g} to {max(values):g}",
    )


def several_in(counts: Counter[str]) -> bool:
    """Whether cells hold several labels: their pieces come again in other cells, alone or otherwise put together."""
    spelled = {folded(value) for value in counts}
    parted: dict[str, list[str]] = {
        value: parts for value in spelled if len(parts := [p for p in _SEPARATED.split(value) if p]) > 1
    }
    if not parted or len(spelled) < 3 or len(parted) == len(spelled):
        return False
    alone = spelled - parted.keys()
    pieces: Counter[str] = Counter(piece for own in parted.values() for piece in own)
    known = [own for value, own in parted.items() if _LISTED.search(value) and any(p in alone for p in own)]
    again = [own for own in parted.values() if all(p in alone or pieces[p] > 1 for p in own)]
    short = all(len(piece.split()) <= _WORDS for piece in pieces)
    return short and max(len(again), len(known)) > len(parted) / 2


def _spellings(counts: Counter[str]) -> dict[str, str]:
    """Return what values become that differ from a more frequent one in case, blanks, a full stop or, where they are rare, a letter."""
    families: defaultdict[str, list[str]] = defaultdict(list)
    for value in counts:
        families[folded(value)].append(value)
    mapping: dict[str, str] = {}
    for key, values in families.items():
        best = max(values, key=lambda value: (counts[value], value == key))
        label = best.rstrip(" .。") if len(values) == 1 or best.rstrip(" .。") in values else best
        mapping |= {value: label for value in values if value != label}
    frequent = [value for value in counts if counts[value] > 2 * _RARE and value not in mapping]
    for value in counts:
        near = difflib.get_close_matches(value, frequent, n=1, cutoff=_ALIKE)
        if counts[value] <= _RARE and value not in mapping and near and not value.isdigit():
            mapping[value] = near[0]
    return mapping

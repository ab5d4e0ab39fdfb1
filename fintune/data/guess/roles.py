"""Which columns are read: text, answer, date, group. Each choice has its evidence; where two are near, both are given.

A column is the text for what its values are, and for its name only where several could be. A column is the answer if its values
are few and come again, or numbers on a scale; its name, and whether its values are words of sentiment, decide among several.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fintune.data.dates import moment
from fintune.data.guess import names
from fintune.data.guess.kinds import CHAT, IN_WORDS, TOKENS, OtherKind
from fintune.data.guess.names import answer_strength, is_of, is_plainly
from fintune.data.guess.profile import Profile
from fintune.data.guess.scales import are_sentiments
from fintune.data.quality.text import is_dictionary

_MOST_LABELS, _ROWS_A_LABEL = 60, 3
_INITIALS = re.compile("[A-Z]{2,3}")
"""How people are called in a column without a name of its own."""
_LONGEST_LABEL = 12
"""Words of a label: longer values are texts."""
_MOSTLY, _NEARLY = 0.9, 0.5
_SHORTEST_TEXT = 2.5
"""Words of a text, the median, where nothing but its form speaks for it."""
_GROUP = 0.8
"""Share of different values up to which a column groups rows."""
_NAMED, _CERTAIN, _MOST_ASKED = 2, 3, 6
"""Strength from which on a name settles it, and leaves no doubt, and columns that are offered beside the likeliest."""
_EXPLAINED = 4
"""Strength of a column whose codes the file explains."""
_DATES_READ = 500
_DAYS = (
    "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y年%m月%d日",
    "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_DATE_FORMS = tuple(f"{day}{time}" for day in _DAYS for time in ("", " %H:%M", " %H:%M:%S"))
_STEPS = 12
"""Different whole numbers up to which they are labels, not values of a scale."""


@dataclass(frozen=True)
class ColumnChoice:
    """The columns that fill a role, why, and other columns that could."""

    columns: Sequence[str]
    why: str = ""
    others: Sequence[str] = field(default_factory=tuple)
    """Columns that could be it as well: nothing in the file tells."""
    doubts: Sequence[str] = ()
    """Columns that were passed over, though by their values they could be it."""
    sure: bool = True
    """Whether more than the form of its values speaks for it."""
    count: int = 0
    """Different values, where they group rows."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What is read of a file; date and group have no columns where there are none."""

    text: ColumnChoice
    answer: ColumnChoice
    date: ColumnChoice
    group: ColumnChoice
    date_forms: Sequence[str] = ()
    """Formats that read the dates, where these are not as ISO 8601 has them; several where nothing tells day from month."""


def kind_of_columns(profiles: Sequence[Profile]) -> OtherKind | None:
    """Return what a table holds that is no labeled text, by the form of its columns; None where it may be that."""
    tokens = [p for p in profiles if is_of(p.name, names.TOKENS) and p.words <= 1 and p.numbers < _NEARLY]
    if tokens and not any(_is_text(p) for p in profiles) and any(answer_strength(p.name) > 0 for p in profiles):
        return TOKENS
    answers = [p for p in profiles if answer_strength(p.name) > 0]
    if not answers and any(_are_speakers(p) for p in profiles):
        return CHAT
    in_words = [p for p in answers if p.unlike > _NEARLY and p.words > _LONGEST_LABEL / 2 and p.numbers < _NEARLY]
    labels = [p for p in profiles if p not in in_words and could_answer(p) and answer_strength(p.name) >= 0]
    texts = [p for p in profiles if p not in in_words and _is_text(p)]
    return IN_WORDS if in_words and texts and not labels else None


def targets_in(profiles: Sequence[Profile]) -> str | None:
    """Return the column whose cells are dictionaries of answers, one for each target."""
    return next((p.name for p in profiles if answer_strength(p.name) > 0 and _are_dictionaries(p)), None)


def _are_speakers(p: Profile) -> bool:
    return p.distinct > 1 and {value.casefold() for value in p.counts} <= names.SPEAKERS


def _are_dictionaries(p: Profile) -> bool:
    shown = list(p.counts)[:50]
    return bool(shown) and p.nested < _NEARLY and sum(map(is_dictionary, shown)) > _MOSTLY * len(shown)


def text_of(profiles: Sequence[Profile], answer: str | None = None) -> ColumnChoice:
    """Return the columns that hold the text, in the order of the file: a title and a body both."""
    texts = [p for p in profiles if p.name != answer and _is_text(p)]
    if any(is_of(p.name, names.TEXTS) and not is_of(p.name, names.REMARKS) for p in texts):
        texts = [p for p in texts if not is_of(p.name, names.REMARKS)]
    if len(texts) < 2:
        return ColumnChoice([p.name for p in texts], "the only column of sentences" if texts else "")
    if pair := _pair(texts):
        return ColumnChoice([p.name for p in pair], "two texts that belong together")
    if len({names.without_language(p.name) for p in texts}) < len(texts):
        return ColumnChoice([texts[0].name], "a text and its translation", [p.name for p in texts[1:]])
    titles = [p for p in texts if is_of(p.name, names.TITLES)]
    bodies = [p for p in texts if is_of(p.name, names.TEXTS) and p not in titles]
    if len(titles) <= 1 and len(bodies) == 1:
        both = [p.name for p in texts if p in titles or p in bodies]
        why = "a title and a text" if titles else "by its name; its values are sentences"
        return ColumnChoice(both, why, doubts=[p.name for p in texts if p.name not in both])
    if len(titles) == 1 and not bodies and len(texts) == 2:
        return ColumnChoice([p.name for p in texts], "a title, and longer texts beside it")
    longest = max(bodies or titles or texts, key=lambda p: p.characters)
    near = [p for p in texts if p is not longest and p.characters > longest.characters / 3]
    return ColumnChoice([longest.name], "the longest texts", [p.name for p in near])


def _pair(texts: Sequence[Profile]) -> list[Profile]:
    """Return two texts to be read together: a question and its answer, `sentence1` and `sentence2`."""
    for p in texts:
        for other in texts:
            alike = p is not other and names.stem_of(p.name) == names.stem_of(other.name)
            asked = is_plainly(p.name, ("question", "问题")) and is_plainly(
                other.name, ("answer", "response", "回答", "答案")
            )
            if alike or asked:
                return [one for one in texts if one in (p, other)]
    return []


def _is_text(p: Profile) -> bool:
    if p.filled < _NEARLY or p.nested > _NEARLY or max(p.numbers, p.dates, p.links, p.codes) > _NEARLY:
        return False
    named = is_of(p.name, names.TEXTS) or is_of(p.name, names.TITLES)
    if named and p.unlike > _NEARLY:
        return p.words >= 1.5 or is_plainly(p.name, names.TEXTS)
    return p.words >= _SHORTEST_TEXT and p.unlike > _NEARLY


def answer_of(profiles: Sequence[Profile], texts: Sequence[str], explained: Collection[str] = ()) -> ColumnChoice:
    """Return the column of the answers; of those that say the same the one in words. `explained`: those whose codes the file explains."""
    candidates = [p for p in profiles if p.name not in texts and could_answer(p)]
    strengths = {p.name: _EXPLAINED if p.name in explained else _strength(p) for p in candidates}
    named = _of_each_kind([p for p in candidates if strengths[p.name] >= 0])
    best = max((strengths[p.name] for p in named), default=-1)
    passed: list[str] = []
    if best >= _NAMED:
        passed = [p.name for p in named if strengths[p.name] < best and p.numbers < _NEARLY and best < _CERTAIN]
        named = [p for p in named if strengths[p.name] == best]
    elif best > 0:  # counts and codes nobody has named
        named = [p for p in named if strengths[p.name] > 0 or p.numbers < _NEARLY]
    if not named:
        return ColumnChoice([])
    first, *near = sorted(named, key=lambda p: -strengths[p.name])
    if is_score(first) and best < _CERTAIN:  # numbers beside labels in words, whose names both speak for them
        near += [p for p in candidates if p not in named and strengths[p.name] > 0 and p.numbers < _NEARLY]
        passed = [name for name in passed if name not in [p.name for p in near]]
    others = [p.name for p in near[:_MOST_ASKED]]
    return ColumnChoice([first.name], _why(first, best), others, doubts=passed, sure=best >= _NAMED)


def could_answer(p: Profile) -> bool:
    """Whether the values may be labels or scores."""
    if p.filled < _NEARLY or len(p.spelled) < 2 or p.nested or max(p.dates, p.links) > _NEARLY:
        return False
    if is_score(p):
        return True
    most = max(2, min(_MOST_LABELS, p.counts.total() // _ROWS_A_LABEL))
    return len(p.spelled) <= most and p.words <= _LONGEST_LABEL


def is_score(p: Profile) -> bool:
    """Whether the values are numbers on a scale, by their form and the name of the column."""
    labels = p.whole and p.distinct <= min(_STEPS, max(2, p.counts.total() // _ROWS_A_LABEL))
    return p.numbers >= _MOSTLY and not labels and answer_strength(p.name) > 0


def _strength(p: Profile) -> int:
    if own := answer_strength(p.name):
        return own
    if are_sentiments(list(p.counts)):
        return _NAMED
    return -1 if all(map(_INITIALS.fullmatch, p.counts)) else 0


def _why(p: Profile, strength: int) -> str:
    values = "numbers on a scale" if is_score(p) else f"{p.distinct} values that come again"
    return f"{values}, and the name says so" if strength > 0 else f"{values}; no other column has such"


def _of_each_kind(candidates: Sequence[Profile]) -> list[Profile]:
    """Of columns that say the same in other words, as a code and its name, one: that of words, else of the stronger name."""
    kept: list[Profile] = []
    for p in sorted(candidates, key=lambda p: (p.numbers > _NEARLY, -_strength(p))):
        if not any(are_alike(p, other) for other in kept):
            kept.append(p)
    return [p for p in candidates if p in kept]


def are_alike(a: Profile, b: Profile) -> bool:
    """Whether each value of one stands beside one value of the other, always."""
    pairs = {(x, y) for x, y in zip(a.values, b.values, strict=True) if x and y}
    return len(pairs) > 1 and len({x for x, _ in pairs}) == len({y for _, y in pairs}) == len(pairs)


def codes_beside(profiles: Sequence[Profile], answer: Profile) -> Mapping[str, str]:
    """Return nothing where the answer is in words, else what each of its codes is called in a column beside it."""
    if answer.numbers < _MOSTLY:
        return {}
    for p in profiles:
        if p.name != answer.name and p.numbers < _NEARLY and p.words <= _LONGEST_LABEL and are_alike(answer, p):
            return dict(zip(answer.values, p.values, strict=True))
    return {}


def date_of(profiles: Sequence[Profile]) -> ColumnChoice:
    """Return the column of dates: the only one, else the one whose name says so."""
    dates = [p for p in profiles if p.dates > _MOSTLY and p.filled > _MOSTLY]
    named = [p for p in dates if is_of(p.name, names.DATES)] or dates
    return ColumnChoice([named[0].name], "its values are dates") if named else ColumnChoice([])


def date_forms(p: Profile) -> list[str]:
    """Return formats that read nearly all dates of a column; none where ISO 8601 does."""
    shown = list(p.counts)[:_DATES_READ]

    def reads(form: str | None) -> bool:
        return sum(moment(value, form) is not None for value in shown) > _MOSTLY * len(shown)

    return [] if reads(None) else [form for form in _DATE_FORMS if reads(form)]


def group_of(profiles: Sequence[Profile]) -> ColumnChoice:
    """Return a column that says which rows are of one document, company or person: its name says so and its values come again."""
    for p in profiles:
        if not is_of(p.name, names.GROUPS) or p.filled < _MOSTLY or p.nested:
            continue
        if 3 <= p.distinct <= _GROUP * p.counts.total() and p.dates < _NEARLY:
            return ColumnChoice([p.name], f"{p.distinct} values over {p.counts.total()} rows", count=p.distinct)
    return ColumnChoice([])

"""What codes stand for, where a file says so itself: in lines above its table, in a column's name, on another sheet, in a list of options.

>>> meanings_in(["# 0 = negative, 1 = neutral, 2 = positive"], ["0", "1", "2"])
{'0': 'negative', '1': 'neutral', '2': 'positive'}
"""

import re
from collections.abc import Collection, Mapping, Sequence

_IS = r"\s*(?:=|:|：|＝|→|->|⇒|means|表示|代表|为)\s*"
_ENDS = r"(?=\s*(?:[,;，；、。|/)\]）}#]|$|\s-?\w{1,4}\s*[=:：＝]))"
_MEANS = re.compile(rf"(?<![\w.-])(-?\w{{1,4}}){_IS}[\"'“]?([^\W\d_][\w /&-]*?)[\"'”]?{_ENDS}")
_LONGEST = 4
"""Characters of a code."""
_IDS, _TEXTS = ("id", "value", "key", "code"), ("text", "name", "label", "title")


def meanings_in(notes: Sequence[str], codes: Collection[str]) -> dict[str, str]:
    """Return the meaning of each code as the notes have it; nothing unless they have all, and no two the same."""
    if not codes or max(map(len, codes)) > _LONGEST:
        return {}
    found: dict[str, str] = {}
    for note in notes:
        for code, meaning in _MEANS.findall(note):
            found.setdefault(code.casefold(), meaning.strip())
    return _whole({code: found[code.casefold()] for code in codes if code.casefold() in found}, codes)


def options_in(records: Sequence[Mapping[str, object]], codes: Collection[str]) -> dict[str, str]:
    """Return the meaning of each code by a list of options in the records: `[{"id": "a", "text": "market risk"}, ...]`."""
    for value in records[0].values() if records else ():
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            names = next(((i, t) for i in _IDS for t in _TEXTS if all({i, t} <= set(one) for one in value)), None)
            if names is not None and (
                found := _whole({str(one[names[0]]): str(one[names[1]]) for one in value}, codes)
            ):
                return found
    return {}


def _whole(found: Mapping[str, str], codes: Collection[str]) -> dict[str, str]:
    own = {code: found[code] for code in codes if code in found}
    differ = len(set(own.values())) == len({code.casefold() for code in codes})
    return own if len(own) == len(codes) and differ else {}

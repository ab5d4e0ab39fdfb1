"""Texts of a part that have something in common: group, year and quarter, length, source, language.

Every text is in one slice of each sort. What has too few texts for a slice of its own is among the `others`.

Example:
    [(cut.by, cut.name, int(cut.members.sum())) for cut in cuts(examples, rows_of(predictions))]
    # [('year', '2023', 210), ('year', '2024', 242), ('length', '≤ 12 words', 118), ...]
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fintune.data.dates import Formats, moment
from fintune.data.guess.language import language_of_text
from fintune.errors import UsageError
from fintune.evaluation.significance import FEWEST_ROWS
from fintune.records import Example, SliceKind
from fintune.runtime.scripts import lacks_blanks
from fintune.tasks.arrays import Bools, Ints

OTHERS = "others"
"""The slice of what has none of its own."""
_MOST = 20
"""Slices of a sort at most: the largest."""
_BINS, _IN_A_BIN = 4, 20
"""Bins of length at most, and texts of one at least."""

Names = list[str | None]
"""The slice that each text is in; None where that cannot be told."""


@dataclass(frozen=True)
class Cut:
    """The members of a slice among the texts of a part, `(n,)`."""

    by: SliceKind
    name: str
    members: Bools


def cuts(examples: Sequence[Example], rows: Ints, date_format: Formats = None) -> list[Cut]:
    """Return the slices of all sorts of which there are two or more; `rows` as `rows_of` returns it: no slice parts a row."""
    _, first = np.unique(rows, return_index=True)
    made = []
    for by, names_of in SLICINGS.items():
        names = names_of(examples, date_format)
        made += _cuts_by(by, [names[i] for i in first.tolist()], rows)
    return made


def _cuts_by(by: SliceKind, names: Names, rows: Ints) -> list[Cut]:
    """Return the slices of one sort; `names` of each row."""
    counts = Counter(name for name in names if name is not None)
    large = [name for name, count in counts.most_common(_MOST) if count >= FEWEST_ROWS]
    if len(large) < 2:
        return []
    own = [name if name in large else OTHERS for name in names]
    ordered = sorted(large, key=_numbers) if by in _IN_ORDER else large
    kept = dict.fromkeys([*ordered, *([OTHERS] if OTHERS in own else [])])
    return [Cut(by, name, np.array([one == name for one in own])[rows]) for name in kept]


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _groups(examples: Sequence[Example], date_format: Formats) -> Names:
    return [e.group or None for e in examples]


def _years(examples: Sequence[Example], date_format: Formats) -> Names:
    return [f"{day.year}" if day else None for day in (moment(e.date, date_format) for e in examples)]


def _quarters(examples: Sequence[Example], date_format: Formats) -> Names:
    days = (moment(e.date, date_format) for e in examples)
    return [f"{day.year}-Q{(day.month + 2) // 3}" if day else None for day in days]


def _lengths(examples: Sequence[Example], date_format: Formats) -> Names:
    """Return bins of about as many texts each: of words, or of characters where nothing stands between words."""
    texts = [e.text for e in examples]
    unit, size = ("characters", len) if lacks_blanks(texts) else ("words", lambda text: len(text.split()))
    lengths = np.array([size(text) for text in texts])
    bins = min(_BINS, len(texts) // _IN_A_BIN)
    inner = np.arange(1, bins) / max(bins, 1)
    ends = [end for end in np.unique(np.quantile(lengths, inner, method="lower")).tolist() if end < lengths.max()]
    return (
        [_bin(ends, place, unit) for place in np.searchsorted(ends, lengths).tolist()] if ends else [None] * len(texts)
    )


def _bin(ends: Sequence[int], place: int, unit: str) -> str:
    if place in (0, len(ends)):
        return f"{'≤' if place == 0 else '>'} {ends[min(place, len(ends) - 1)]} {unit}"
    low, high = ends[place - 1] + 1, ends[place]
    return f"{low}–{high} {unit}" if low < high else f"{low} {unit}"


def _sources(examples: Sequence[Example], date_format: Formats) -> Names:
    """Return the file of each text; none where files tell the answer, as one file a label does."""
    names = [(e.row or e.id).rpartition(":")[0] for e in examples]
    pairs = {(name, e.target) for name, e in zip(names, examples, strict=True)}
    return list(names) if len(pairs) > len(set(names)) else [None] * len(names)


def _languages(examples: Sequence[Example], date_format: Formats) -> Names:
    return [language_of_text(e.text) for e in examples]


SLICINGS: dict[SliceKind, Callable[[Sequence[Example], Formats], Names]] = {
    "group": _groups,
    "year": _years,
    "quarter": _quarters,
    "length": _lengths,
    "source": _sources,
    "language": _languages,
}
"""The sorts of slices, and which slice of a sort each example is in."""
_TOGETHER = {"date": ("year", "quarter"), "all": tuple(SLICINGS)}
_IN_ORDER = ("year", "quarter", "length")
"""Those whose slices follow each other; of others the largest comes first."""


def kinds_of(names: Sequence[str]) -> list[str]:
    """Return the sorts of slices that are named. Raises UsageError for one that is none."""
    allowed = [*SLICINGS, *_TOGETHER]
    if unknown := [name for name in names or [""] if name not in allowed]:
        raise UsageError(f"--by {unknown[0]}: no sort of slices", hint=f"One or more of {', '.join(allowed)}.")
    return list(dict.fromkeys(kind for name in names for kind in _TOGETHER.get(name, (name,))))

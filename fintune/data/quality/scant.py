"""Sentences about what there is too little of: examples of a label to learn from, validation texts to choose an epoch by.

Example:
    [one.text for one in scant({"good": 80, "bad": 12}, validation=9, choosing=True)]
    # ["One label has fewer than 20 examples to learn from: 'bad' (12).", 'Nine validation texts cannot choose an epoch: ...']
"""

from collections.abc import Mapping

from fintune.errors import shortened
from fintune.records import Statement
from fintune.runtime.units import spelled

_TO_LEARN = 20
"""Examples of a label below which it is said."""
_TO_CHOOSE = 30
"""Validation texts below which no epoch can be chosen: on 30, a share of 80 % right answers has a standard error of 7 points, which is
more than good epochs differ by."""
_NAMED = 3
"""Labels that a sentence names."""


def scant(train: Mapping[str, int], *, validation: int, choosing: bool) -> list[Statement]:
    """Return what there is too little of: of each label in train, of texts on validation where an epoch is to be chosen."""
    statements = []
    if rare := sorted((n, label) for label, n in train.items() if n < _TO_LEARN):
        statements.append(_rare(rare))
    if choosing and 0 < validation < _TO_CHOOSE:
        texts = f"{_begun(validation)} validation {_number(validation, 'text')}"
        text = f"{texts} cannot choose an epoch: chance moves a score on so few by more than epochs differ."
        values = {"n": str(validation)}
        statements.append(Statement(kind="few-validation", level="note", text=text, values=values))
    return statements


def _rare(rare: list[tuple[int, str]]) -> Statement:
    n = len(rare)
    labels = ", ".join(f"'{shortened(label)}' ({count})" for count, label in rare[:_NAMED])
    more = f" and {spelled(n - _NAMED)} more" if n > _NAMED else ""
    head = (
        f"{_begun(n)} {_number(n, 'label')} {'has' if n == 1 else 'have'} fewer than {_TO_LEARN} examples to learn from"
    )
    values = {"n": str(n), "least": str(_TO_LEARN), "labels": labels + (f" (+{n - _NAMED})" if more else "")}
    return Statement(kind="rare-labels", level="note", text=f"{head}: {labels}{more}.", values=values)


def _begun(n: int) -> str:
    return spelled(n).capitalize()


def _number(n: int, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"

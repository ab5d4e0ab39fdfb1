"""Files that are no labeled text: conversations, instructions, tokens, exams. Recognized, so that they are refused in one sentence.

>>> other_kind({"messages": [{"role": "user", "content": "Hello"}]}).name
'chat'
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fintune.data.guess.names import answer_strength

_TURNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
_SPEAKERS = frozenset(("role", "from", "speaker"))
_SEVERAL = 0.05
"""Share of records with several labels."""
_OPTIONS = re.compile(r"(?:option|choice|选项)?[ _]*([a-d1-4一二三四])", re.IGNORECASE)
_TAG = re.compile(r"\S+([ \t]\S+){0,4}[ \t](O|[BIES]-[A-Za-z_]+)")


@dataclass(frozen=True)
class OtherKind:
    """A kind of data that is not labeled text."""

    name: str
    what: str
    """What the file holds, as a sentence goes on behind its name."""


CHAT = OtherKind("chat", "holds conversations, not labeled texts")
INSTRUCTION = OtherKind("instruction", "holds instructions with answers in words, not labeled texts")
PREFERENCE = OtherKind("preference", "holds pairs of preferred and rejected answers, not labeled texts")
TOKENS = OtherKind("tokens", "holds labels of tokens or of stretches of a text, not of each text")
EXAM = OtherKind("exam", "holds multiple-choice questions, not labeled texts")
UNLABELED = OtherKind("unlabeled", "holds texts without labels")
SEVERAL = OtherKind("multi-label", "holds several labels in one cell")
TARGETS = OtherKind("multi-label", "holds answers for several targets in one cell")
IN_WORDS = OtherKind("instruction", "holds answers in words, not labels")
CALCULATED = OtherKind("numbers", "holds calculated numbers, not scores on a scale")


def other_kind(record: Mapping[str, object]) -> OtherKind | None:
    """Return what a record is one of, by its columns; None where it may be labeled text."""
    names = {name.casefold().strip(): value for name, value in record.items()}
    for name in _TURNS:
        turns = names.get(name)
        if isinstance(turns, list) and turns and isinstance(turns[0], Mapping) and _SPEAKERS & set(turns[0]):
            return CHAT
    if {"chosen", "rejected"} <= set(names):
        return PREFERENCE
    if "instruction" in names and ("output" in names or "response" in names):
        return INSTRUCTION
    if "prompt" in names and ({"completion", "response"} & set(names)):
        return INSTRUCTION
    if any(_are_spans(value) for value in names.values()):
        return TOKENS
    options = {match[1] for name in names if (match := _OPTIONS.fullmatch(name))}
    return (
        EXAM
        if any(options >= set(first) for first in ("abc", "一二三")) or {"option1", "option2"} <= set(names)
        else None
    )


def _are_spans(value: object) -> bool:
    """Whether a value is a list of stretches: `[0, 5, "ORG"]`, or objects with a start and an end."""
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, Mapping):
        return {"start", "end"} <= set(first) or {"start_offset", "end_offset"} <= set(first)
    return isinstance(first, list) and [type(one) for one in first] == [int, int, str]


def holds_lists(records: Sequence[Mapping[str, object]]) -> bool:
    """Whether a column of answers, by its name or as choices from a list of options, has lists of several labels."""
    for name in records[0]:
        lists = [value for record in records if isinstance(value := record.get(name), list)]
        labels = [label for one in lists for label in one]
        several = sum(len(one) > 1 for one in lists) > _SEVERAL * len(records)
        if several and all(isinstance(label, str) for label in labels) and len(set(labels)) < len(labels) / 2:
            return answer_strength(name) > 0
    return False


def lists_of_targets(records: Sequence[Mapping[str, object]]) -> str | None:
    """Return the column that holds lists of objects with an answer each, as `[{"name": "Acme", "tone": "positive"}]`."""
    for name in records[0]:
        lists = [value for record in records if isinstance(value := record.get(name), list) and value]
        entries = [entry for one in lists for entry in one if isinstance(entry, Mapping)]
        several = sum(len(one) > 1 for one in lists) > _SEVERAL * len(records)
        objects = len(entries) == sum(map(len, lists)) and not any(map(_are_spans, lists))
        if several and objects and any(answer_strength(key) > 0 for key in entries[0]):
            return name
    return None


def is_status(record: Mapping[str, object], name: str) -> bool:
    """Whether a column says what became of a task of an annotation tool (Prodigy): accepted, rejected, ignored."""
    return (
        name == "answer"
        and record.get(name) in ("accept", "reject", "ignore")
        and bool({"options", "spans", "_task_hash"} & set(record))
    )


def is_tagged(head: Sequence[str]) -> bool:
    """Whether lines are tokens with tags, as CoNLL files have them."""
    shown = [line.rstrip() for line in head if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    return len(shown) > 1 and sum(bool(_TAG.fullmatch(line)) for line in shown) > 0.8 * len(shown)

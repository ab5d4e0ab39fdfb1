"""The texts to look at: those a model got wrong, by what its answers are, and those it was least sure of.

Example:
    [table["name"] for table in tables(run, texts=True, most=40)]
    # ['mistakes', 'unsure']
"""

from collections.abc import Sequence
from math import inf
from typing import TypedDict

from fintune.inference import confidence
from fintune.records import Answer, Prediction
from fintune.report.run_files import RunFiles

_LONGEST_TEXT = 600
"""Characters of a text that are shown."""
_COLUMNS = {
    "mistakes": ("text", "gold", "answer", "confidence", "runner_up", "id"),
    "unsure": ("text", "gold", "answer", "confidence", "runner_up", "id"),
    "errors": ("text", "true_answer", "answer", "error", "id"),
    "misses": ("text", "true_answer", "answer", "id"),
}
"""Columns of each table."""
_TEXTS = {"mistakes": ("text",), "unsure": ("text",), "errors": ("text",), "misses": ("text", "true_answer", "answer")}
"""Those of them that are texts, and can be left out."""


class TextsTable(TypedDict):
    """A table of texts; `name` is that of its words, `all` the number of texts that it could hold."""

    name: str
    columns: list[str]
    rows: list[dict[str, object]]
    all: int


def tables(run: RunFiles, *, texts: bool, most: int) -> list[TextsTable]:
    """Return the tables that go with what answers are; none where nothing was judged."""
    wrong = [p for p in run.judged if not p.right]
    if run.weighed:
        surest, unsure = confidence.surest_mistakes(run.weighed, most), confidence.least_sure(run.weighed, most)
        return [_table("mistakes", surest, len(wrong), texts), _table("unsure", unsure, len(unsure), texts)]
    name, farthest = "errors" if run.kind == "numbers" else "misses", sorted(wrong, key=_distance, reverse=True)
    return [_table(name, farthest[:most], len(wrong), texts)] if run.judged else []


def shown(answer: Answer | list[str] | None) -> str:
    """Return an answer as a table has it; nothing for one that could not be read."""
    if isinstance(answer, float | int):
        return f"{answer:g}"
    return cut(answer if isinstance(answer, str) else "; ".join(answer or ()))


def cut(text: str) -> str:
    """Return a text short enough for a table."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} …"


def _table(name: str, predictions: Sequence[Prediction], total: int, texts: bool) -> TextsTable:
    columns = [column for column in _COLUMNS[name] if texts or column not in _TEXTS[name]]
    rows = [_row(p, verbatim=texts and (name == "misses" or p.answer is None)) for p in predictions]
    return {"name": name, "columns": columns, "rows": rows, "all": total}


def _row(p: Prediction, *, verbatim: bool) -> dict[str, object]:
    others = sorted(((name, share) for name, share in p.probabilities.items() if name != p.answer), key=lambda o: -o[1])
    return {
        "id": p.id,
        "text": cut(p.text),
        "gold": shown(p.gold),
        "answer": cut(p.written) if verbatim else shown(p.answer),
        "verbatim": verbatim,
        "unreadable": p.answer is None,
        "right": None if isinstance(p.answer, float) else p.right,
        "confidence": p.confidence,
        "runner_up": others[0] if others else ("", 0.0),
        "error": _distance(p),
    }


def _distance(p: Prediction) -> float:
    """Return how far a number is from the true one; what is none is the farthest."""
    return abs(p.answer - p.gold) if isinstance(p.answer, float) and isinstance(p.gold, float) else inf

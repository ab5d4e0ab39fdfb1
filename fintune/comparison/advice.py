"""One sentence a person can act on: which row to use, and why.

>>> recommend(rows, "validation", "accuracy")
"Use ia3: its accuracy of 96.2 % (validation, n = 226) cannot be told apart from lora's 96.8 %, the best, and of these 2 it
trains fastest (1 min 40 s a run)."
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fintune.durations import duration


def recommend(rows: Sequence[Mapping[str, Any]], part: str, metric: str) -> str:
    """The quickest to train of group 1; `rows` are those of comparison.json, the best first. A tie goes to the better score."""
    top = [row for row in rows if row["group"] == 1]
    best, rest = top[0], [row for row in rows if row["group"] > 1]
    chosen = min(top, key=lambda row: (_seconds(row), -row["scores"][metric]["value"]))
    score = chosen["scores"][metric]
    claim = f"Use {chosen['name']}: its {metric} of {score['value']:.1%} ({part}, n = {score['n']:,})"
    if len(top) == 1:
        others = f"; the next best, {rest[0]['name']}, has {rest[0]['scores'][metric]['value']:.1%}" if rest else ""
        return f"{claim} is better than that of every other row{others}." if rest else f"{claim} is the only one."
    names = f"{best['name']}'s {best['scores'][metric]['value']:.1%}, the best" if chosen is not best else "the best"
    subject = (
        f"cannot be told apart from {names}"
        if chosen is not best
        else f"is the best of {len(top)} that cannot be told apart"
    )
    return f"{claim} {subject}, and of these {len(top)} it trains fastest{_time(chosen)}."


def _seconds(row: Mapping[str, Any]) -> float:
    seconds = row["train_seconds"]
    return float("inf") if seconds is None else float(seconds)


def _time(row: Mapping[str, Any]) -> str:
    seconds = row["train_seconds"]
    if seconds is None:
        return ""
    return f" ({duration(seconds)} a run)" if seconds else " (nothing to train)"

"""One sentence a person can act on: which row to use and why, or why none, and how many texts would tell.

An example: "Use ia3: its accuracy of 96.2% (validation, n = 226) cannot be told apart from lora with 96.8%, the best, and of
these 2 none trains faster (1 min 40 s a run)."
"""

from collections.abc import Sequence

from fintune.comparison.content import PairContent, RowContent
from fintune.evaluation.significance import texts_to_tell
from fintune.evaluation.verdict import MAJORITY, called
from fintune.runtime.units import as_shown, duration


def recommend(
    rows: Sequence[RowContent], pairs: Sequence[PairContent], part: str, metric: str, *, confidence: float
) -> str:
    """Return the quickest to train of group 1 among rows that are proven better than the majority class, if there are any.

    `rows` and `pairs` are those of comparison.json, the best first; a tie in time goes to the better score.
    """
    better = {pair["a"] for pair in pairs if pair["b"] == MAJORITY and pair["p_holm"] < 1 - confidence}
    usable = [row for row in rows if row["group"] == 1 and row["name"] in better]
    if not usable:
        return _nothing_proven(rows, pairs, part, metric, confidence)
    chosen = min(usable, key=lambda row: (training_time(row), -row["scores"][metric]["value"]))
    score = chosen["scores"][metric]
    new = f"; {clean[metric]['value']:.1%} on the {clean[metric]['n']:,} new ones" if (clean := chosen["clean"]) else ""
    claim = f"Use {chosen['name']}: its {metric} of {score['value']:.1%} ({part}, n = {score['n']:,}{new})"
    return f"{claim} {_reason(chosen, usable, rows, metric)}."


def training_time(row: RowContent) -> float:
    """Return the seconds by which rows are compared: as they are shown. One that is not known is the longest."""
    seconds = row["train_seconds"]
    return float("inf") if seconds is None else as_shown(seconds)


def _reason(chosen: RowContent, usable: Sequence[RowContent], rows: Sequence[RowContent], metric: str) -> str:
    top, rest = [row for row in rows if row["group"] == 1], [row for row in rows if row["group"] > 1]
    if len(top) == 1:
        return f"is better than that of every other row; the next best, {_named(rest[0], metric)}"
    if chosen is top[0]:
        standing = f"is the best of {len(top)} that cannot be told apart"
    else:
        standing = f"cannot be told apart from {_named(top[0], metric)}, the best"
    if len(usable) == 1:
        return f"{standing}, and of these {len(top)} it alone is proven better than {called(MAJORITY)}"
    proven = "" if len(usable) == len(top) else f" proven better than {called(MAJORITY)}"
    return f"{standing}, and of {'the' if proven else 'these'} {len(usable)}{proven} none trains faster{_time(chosen)}"


def _nothing_proven(
    rows: Sequence[RowContent], pairs: Sequence[PairContent], part: str, metric: str, confidence: float
) -> str:
    """Not having been told apart is no reason to use a row that does no better than one label for all."""
    usual = next(row for row in rows if row["name"] == MAJORITY)["scores"][metric]
    best = max((row for row in rows if row["name"] != MAJORITY), key=lambda row: row["scores"][metric]["value"])
    above = best["scores"][metric]["value"] > usual["value"]
    pair = next(pair for pair in pairs if {pair["a"], pair["b"]} == {best["name"], MAJORITY})
    claim = "no row of group 1 is proven better than" if above else "no row has more than"
    head = f"No recommendation: on {usual['n']:,} texts ({part}) {claim} {called(MAJORITY)}, {usual['value']:.1%}."
    so_far = f"Best {'so far' if above else 'of the others so far'}: {_named(best, metric)}"
    return f"{head} {so_far}; {_needed(pair, len(pairs), usual['n'], confidence)}."


def _needed(pair: PairContent, pairs: int, n: int, confidence: float) -> str:
    """Return how many texts would tell the pair apart, at the level that Holm's correction asks of the first of all pairs."""
    if pair["p_holm"] < 1 - confidence:
        return "it is proven worse"
    needed = texts_to_tell(pair["difference"]["value"], pair["discordant"], 1 - (1 - confidence) / pairs)
    if needed is None:
        return "the two do not differ, and no number of texts tells such rows apart"
    if needed <= n:
        return "its runs differ too much to tell: more seeds (--seeds) or more texts would"
    return f"about {needed:,} texts would tell such a difference"


def _named(row: RowContent, metric: str) -> str:
    return f"{row['name']} with {row['scores'][metric]['value']:.1%}"


def _time(row: RowContent) -> str:
    seconds = row["train_seconds"]
    if seconds is None:
        return ""
    return f" ({duration(seconds)} a run)" if seconds else " (nothing to train)"

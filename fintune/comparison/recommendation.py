"""One sentence a person can act on: which row to use and why, or why none, and how many texts would tell.

An example: "Use ia3: its score of 96.2 % (validation, n = 226) cannot be told apart from lora with 96.8 %, the best, and of
these 2 none trains faster (1 min 40 s a run)."
"""

from collections.abc import Sequence

from fintune.comparison.content import PairContent, RowContent
from fintune.evaluation.significance import texts_to_tell
from fintune.evaluation.verdict import called
from fintune.runtime.units import as_shown, duration
from fintune.tasks.baselines import is_floor
from fintune.tasks.lookup import metric_of
from fintune.tasks.metric import Metric


def recommend(
    rows: Sequence[RowContent],
    pairs: Sequence[PairContent],
    part: str,
    metric: Metric,
    *,
    confidence: float,
    tested: Sequence[str] = (),
) -> str:
    """Return the quickest to train of group 1 among rows that are proven better than the floor, if there are any (of all, without one).

    `rows` and `pairs` are those of comparison.json, the best first; a tie in time goes to the better score.
    """
    without_floor = not any(is_floor(row["name"]) for row in rows)
    usable = [row for row in rows if row["group"] == 1 and (without_floor or row["ahead"])]
    if not usable:
        return _nothing_proven(rows, pairs, part, metric, confidence)
    chosen = min(usable, key=lambda row: (training_time(row), -_gain(row, metric)))
    score, clean = chosen["scores"][metric.name], (chosen["clean"] or {}).get(metric.name)
    new = f"; {metric.written(clean['value'])} on the {clean['n']:,} new ones" if clean else ""
    claim = f"Use {chosen['name']}: its {metric.title} of {metric.written(score['value'])} ({part}, n = {score['n']:,}{new})"
    by = " or ".join(metric_of(name).title for name in tested)
    return f"{claim} {_reason(chosen, usable, rows, metric, f' in {by}' if by else '')}."


def training_time(row: RowContent) -> float:
    """Return the seconds by which rows are compared: as they are shown. One that is not known is the longest."""
    seconds = row["train_seconds"]
    return float("inf") if seconds is None else as_shown(seconds)


def _reason(
    chosen: RowContent, usable: Sequence[RowContent], rows: Sequence[RowContent], metric: Metric, by: str
) -> str:
    top, rest = [row for row in rows if row["group"] == 1], [row for row in rows if row["group"] > 1]
    if not rest and len(top) == 1:
        return "stands alone: nothing was compared with it"
    if len(top) == 1:
        return f"is better than that of every other row; the next best, {_named(rest[0], metric)}"
    if chosen is top[0]:
        standing = f"is the best of {len(top)} that cannot be told apart"
    else:
        standing = f"cannot be told apart from {_named(top[0], metric)}, the best"
    floor = next((row["name"] for row in rows if is_floor(row["name"])), None)
    if len(usable) == 1 and floor:
        return f"{standing}, and of these {len(top)} it alone is proven better than {called(floor)}{by}"
    proven = "" if len(usable) == len(top) or not floor else f" proven better than {called(floor)}{by}"
    return f"{standing}, and of {'the' if proven else 'these'} {len(usable)}{proven} none trains faster{_time(chosen)}"


def _nothing_proven(
    rows: Sequence[RowContent], pairs: Sequence[PairContent], part: str, metric: Metric, confidence: float
) -> str:
    """Not having been told apart is no reason to use a row that does no better than one label for all."""
    floor = next(row for row in rows if is_floor(row["name"]))
    usual = floor["scores"][metric.name]
    best = max((row for row in rows if row is not floor), key=lambda row: _gain(row, metric))
    above = _gain(best, metric) > _gain(floor, metric)
    pair = next(pair for pair in pairs if {pair["a"], pair["b"]} == {best["name"], floor["name"]})
    claim = "no row of group 1 is proven better than" if above else "no row is better than"
    head = f"No recommendation: on {usual['n']:,} texts ({part}) {claim} {called(floor['name'])}, {metric.written(usual['value'])}."
    so_far = f"Best {'so far' if above else 'of the others so far'}: {_named(best, metric)}"
    return f"{head} {so_far}; {_needed(pair, len(pairs), usual['n'], confidence)}."


def _gain(row: RowContent, metric: Metric) -> float:
    return metric.gain(row["scores"][metric.name]["value"])


def _needed(pair: PairContent, pairs: int, n: int, confidence: float) -> str:
    """Return how many texts would tell the pair apart, at the level that Holm's correction asks of the first of all pairs."""
    if pair["p_holm"] < 1 - confidence:
        return "it is proven worse"
    if pair["p_mcnemar"] is None:
        return "more texts may tell"
    if pair["right"] * pair["difference"]["value"] < 0:
        return "fewer of its answers are right: which of the two counts is not for more texts to say"
    needed = texts_to_tell(pair["right"], pair["discordant"], 1 - (1 - confidence) / pairs)
    if needed is None:
        return "the two do not differ, and no number of texts tells such rows apart"
    if needed <= n:
        return "its runs differ too much to tell: more seeds (--seeds) or more texts would"
    return f"about {needed:,} texts would tell such a difference"


def _named(row: RowContent, metric: Metric) -> str:
    return f"{row['name']} with {metric.written(row['scores'][metric.name]['value'])}"


def _time(row: RowContent) -> str:
    seconds = row["train_seconds"]
    if seconds is None:
        return ""
    return f" ({duration(seconds)} a run)" if seconds else " (nothing to train)"

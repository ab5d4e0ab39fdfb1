"""What scores.json holds, from records to plain values and back.

>>> scores_in(content_of(run.scores(), run.baselines(), run.claims())["splits"])["test"]["accuracy"].value
0.98
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fintune.records import Claims, Score, Scores, Statement


def content_of(
    splits: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]], claims: Claims
) -> dict[str, Any]:
    """`splits` and `baselines`, the same under `clean` on rows that are new to the model, and `verdicts`."""
    verdicts = {part: [asdict(statement) for statement in of] for part, of in claims.verdicts.items()}
    return _plain(splits, baselines) | {"clean": _plain(claims.splits, claims.baselines), "verdicts": verdicts}


def scores_in(parts: Mapping[str, Any]) -> dict[str, Scores]:
    """Scores by part."""
    return {part: {name: Score(**score) for name, score in scores.items()} for part, scores in parts.items()}


def claims_in(content: Mapping[str, Any]) -> Claims:
    """Return what stands beside the figures; of a file that an earlier FinTune wrote, that nothing does."""
    if (verdicts := content.get("verdicts")) is None:
        text = "Not judged when it was scored: fintune evaluate says what it is worth."
        return Claims({part: [Statement("not-judged", "note", text)] for part in content.get("splits") or {}})
    clean = content.get("clean") or {}
    return Claims(
        {part: [Statement(**statement) for statement in of] for part, of in verdicts.items()},
        scores_in(clean.get("splits") or {}),
        {name: scores_in(parts) for name, parts in (clean.get("baselines") or {}).items()},
    )


def _plain(splits: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]]) -> dict[str, Any]:
    return {
        "splits": {part: _as_plain(scores) for part, scores in splits.items()},
        "baselines": {n: {part: _as_plain(s) for part, s in parts.items()} for n, parts in baselines.items()},
    }


def _as_plain(scores: Scores) -> dict[str, Any]:
    return {name: asdict(score) for name, score in scores.items()}

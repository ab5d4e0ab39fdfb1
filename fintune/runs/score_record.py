"""What scores.json holds, from records to plain values and back.

Example:
    scores_in(content_of(run.scores(), run.baselines(), run.claims())["splits"])["test"]["answer_loss"].value
    # 0.98
"""

from collections.abc import Mapping

from fintune.records import Claims, Score, Scores, Slice, Statement
from fintune.runs.schema import FiguresRecord, ScoreRecord, ScoresRecord, SliceRecord, StatementRecord


def content_of(
    splits: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]], claims: Claims
) -> ScoresRecord:
    """Return `splits` and `baselines`, the same under `clean` on rows that are new to the model, `verdicts` and `slices`."""
    figures, clean = _figures(splits, baselines), _figures(claims.splits, claims.baselines)
    verdicts = {part: [_plain_statement(one) for one in statements] for part, statements in claims.verdicts.items()}
    return {
        "splits": figures["splits"],
        "baselines": figures["baselines"],
        "clean": clean,
        "verdicts": verdicts,
        "slices": {part: [_plain_slice(one) for one in slices] for part, slices in claims.slices.items()},
    }


def scores_in(parts: Mapping[str, Mapping[str, ScoreRecord]]) -> dict[str, Scores]:
    """Return scores by part."""
    return {part: {name: Score(**score) for name, score in scores.items()} for part, scores in parts.items()}


def claims_in(content: ScoresRecord) -> Claims:
    """Return what stands beside the figures; of a file that an earlier FinTune wrote, that nothing does."""
    if (verdicts := content.get("verdicts")) is None:
        text = "Not judged when it was scored: fintune evaluate says what it is worth."
        return Claims({part: [Statement("not-judged", "note", text)] for part in content.get("splits") or {}})
    statements = {part: [Statement(**statement) for statement in of] for part, of in verdicts.items()}
    slices = {part: [_slice(one) for one in of] for part, of in (content.get("slices") or {}).items()}
    if (clean := content.get("clean")) is None:
        return Claims(statements, slices=slices)
    baselines = {name: scores_in(parts) for name, parts in (clean.get("baselines") or {}).items()}
    return Claims(statements, scores_in(clean.get("splits") or {}), baselines, slices)


def _figures(splits: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]]) -> FiguresRecord:
    return {
        "splits": {part: plain_scores(scores) for part, scores in splits.items()},
        "baselines": {
            name: {part: plain_scores(scores) for part, scores in parts.items()} for name, parts in baselines.items()
        },
    }


def plain_scores(scores: Scores) -> dict[str, ScoreRecord]:
    """Return scores as JSON holds them."""
    return {name: {"value": s.value, "low": s.low, "high": s.high, "n": s.n} for name, s in scores.items()}


def _plain_statement(statement: Statement) -> StatementRecord:
    return {
        "kind": statement.kind,
        "level": statement.level,
        "text": statement.text,
        "values": dict(statement.values),
    }


def _plain_slice(one: Slice) -> SliceRecord:
    return {
        "by": one.by,
        "name": one.name,
        "scores": plain_scores(one.scores),
        "metric": one.metric,
        "rest": one.rest,
        "p": one.p,
        "worse": one.worse,
    }


def _slice(record: SliceRecord) -> Slice:
    return Slice(
        by=record["by"],
        name=record["name"],
        scores=scores_in({"": record["scores"]})[""],
        metric=record["metric"],
        rest=record["rest"],
        p=record["p"],
        worse=record["worse"],
    )

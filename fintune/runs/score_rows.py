"""The scores of runs as rows, one a run or a slice of its texts: what a paper's table, a spreadsheet or a program takes.

Example:
    row_of(Run(Path("runs/lora")), "test").method
    # 'lora'
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fintune.errors import RunError, did_you_mean
from fintune.records import Scores
from fintune.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """Scores of one part of a run, or of some of its texts."""

    run: str
    task: str
    base: str
    method: str
    part: str
    n: int
    scores: Scores
    """By metric, in the order asked for."""


@dataclass(frozen=True, kw_only=True)
class PartRow(ScoreRow):
    """One run's scores of one part."""

    worth: str
    """The weightiest thing to know of them, "" for nothing."""


@dataclass(frozen=True, kw_only=True)
class SliceRow(ScoreRow):
    """One run's scores of a slice of a part."""

    by: str
    slice: str
    metric: str
    """The metric that the test is of."""
    others: float
    """That metric on the other texts of the part."""
    p: float | None
    worse: bool


def row_of(run: Run, part: str, metrics: Sequence[str] | None = None) -> PartRow:
    """Return a run's row; left out, metrics are its task's first. Raises RunError for a part or metric that it has not."""
    _need_part(run, part)
    worth = [one for of, one in run.claims().shown() if of == part and one.level != "note"]
    return PartRow(**vars(_shared(run, part, run.scores()[part], metrics)), worth=worth[0].text if worth else "")


def slice_rows(run: Run, part: str, kinds: Sequence[str], metrics: Sequence[str] | None = None) -> list[SliceRow]:
    """Return a row a slice, of the sorts that are named. Raises RunError where the part has none of them, or for an unknown metric."""
    _need_part(run, part)
    slices = run.claims().slices.get(part)
    if slices is None:
        raise RunError(
            f"{run.folder}: no slices of part '{part}'", hint="fintune evaluate RUN --split PART makes them."
        )
    if not (chosen := [one for one in slices if one.by in kinds]):
        others = ", ".join(dict.fromkeys(one.by for one in slices)) or "none"
        raise RunError(
            f"{run.folder}: no slices by {' or '.join(kinds)}: that takes two of ten texts each",
            hint=f"What it has slices by: {others}.",
        )
    return [
        SliceRow(
            **vars(_shared(run, part, one.scores, metrics)),
            by=one.by,
            slice=one.name,
            metric=one.metric,
            others=one.rest,
            p=one.p,
            worse=one.worse,
        )
        for one in chosen
    ]


def _need_part(run: Run, part: str) -> None:
    if part not in (scores := run.scores()):
        raise RunError(f"{run.folder}: no scores of part '{part}'", hint=did_you_mean(part, scores))


def _shared(run: Run, part: str, scores: Scores, metrics: Sequence[str] | None) -> ScoreRow:
    config = run.config()
    wanted = list(config.build_task().headline) if metrics is None else list(metrics)
    if lacking := [name for name in wanted if name not in scores]:
        raise RunError(f"{run.folder}: no metric '{lacking[0]}'", hint=did_you_mean(lacking[0], scores))
    return ScoreRow(
        run=run.folder.name,
        task=config.task.name,
        base=config.model.base,
        method=config.method.name,
        part=part,
        n=next(iter(scores.values())).n,
        scores={name: scores[name] for name in wanted},
    )

"""The scores of runs as rows, one a run: what a paper's table, a spreadsheet or a program takes.

Example:
    row_of(Run(Path("runs/lora")), "test").method
    # 'lora'
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fintune.errors import RunError, did_you_mean
from fintune.records import Score, Scores
from fintune.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One run's scores of one part."""

    run: str
    task: str
    base: str
    method: str
    part: str
    n: int
    scores: Scores
    """By metric, in the order asked for."""
    worth: str
    """The weightiest thing to know of them, "" for nothing."""


def row_of(run: Run, part: str, metrics: Sequence[str] | None = None) -> ScoreRow:
    """Return a run's row; left out, metrics are its task's first. Raises RunError for a part or metric that it has not."""
    config, scores = run.config(), run.scores()
    if part not in scores:
        raise RunError(f"{run.folder}: no scores of part '{part}'", hint=did_you_mean(part, scores))
    wanted = list(config.build_task().headline) if metrics is None else list(metrics)
    if lacking := [name for name in wanted if name not in scores[part]]:
        raise RunError(f"{run.folder}: no metric '{lacking[0]}'", hint=did_you_mean(lacking[0], scores[part]))
    worth = [one for of, one in run.claims().shown() if of == part and one.level != "note"]
    chosen: dict[str, Score] = {name: scores[part][name] for name in wanted}
    return ScoreRow(
        run=run.folder.name,
        task=config.task.name,
        base=config.model.base,
        method=config.method.name,
        part=part,
        n=next(iter(scores[part].values())).n,
        scores=chosen,
        worth=worth[0].text if worth else "",
    )

"""An engine, a task and labeled examples in; predictions and scores with intervals out.

Example:
    evaluation = evaluate(engine, task, splits["validation"])
    evaluation.scores[task.headline[0]]
    # Score(value=0.976, low=0.951, high=0.994, n=226)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from fintune.config.run_config import RunConfig
from fintune.inference.answer import Answered, predict
from fintune.inference.engines import Engine
from fintune.records import Claims, Example, Prediction, Prompt, Scores
from fintune.tasks import Task
from fintune.tasks.arrays import Floats
from fintune.tasks.metrics import bootstrapped, loss_series, rows_of, scores_of


class ScoringOptions(TypedDict, total=False):
    """How the intervals of scores are made: 1,000 resamples and 95 % where nothing is said."""

    resamples: int
    confidence: float


def scoring_options(config: RunConfig) -> ScoringOptions:
    """Return the options that section `evaluation` sets."""
    return {"resamples": config.evaluation.resamples, "confidence": config.evaluation.confidence}


@dataclass(frozen=True)
class Evaluation:
    """What a model answered on a part, how good that was, and what it is worth; `cut` texts lost their middle."""

    predictions: list[Prediction]
    scores: Scores
    cut: int
    claims: Claims = field(default_factory=Claims)


def evaluate(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    *,
    shown: tuple[Prompt, ...] = (),
    stage: str = "score",
    **options: Unpack[ScoringOptions],
) -> Evaluation:
    """Score `engine` on labeled examples."""
    answered = predict(engine, task, examples, shown=shown, stage=stage)
    scores = score(answered.predictions, task, answered, **options)
    return Evaluation(answered.predictions, scores, int((answered.cut > 0).sum()))


def score(
    predictions: Sequence[Prediction], task: Task, answered: Answered | None = None, **options: Unpack[ScoringOptions]
) -> Scores:
    """Return scores of predictions whose gold answers are known; losses too, where `answered` knows them."""
    if not predictions:
        return {}

    def of_draws(weights: Floats) -> dict[str, Floats]:
        series = dict(task.score(predictions, weights))
        if answered is not None and answered.loss is not None:
            series |= loss_series(answered.loss, answered.tokens, weights)
        return series

    series = bootstrapped(of_draws, rows_of(predictions), options.get("resamples", 1000))
    return scores_of(series, n=len(predictions), confidence=options.get("confidence", 0.95))

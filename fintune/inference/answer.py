"""Examples to predictions: the task's prompts, ranked by an engine."""

from collections.abc import Sequence
from dataclasses import replace

from fintune.inference.engines import Engine, Ranking
from fintune.records import Prediction, Prompt
from fintune.tasks import Task


def predict(
    engine: Engine,
    task: Task,
    texts: Sequence[str],
    ids: Sequence[str],
    *,
    shown: tuple[Prompt, ...] = (),
    stage: str = "predict",
) -> tuple[list[Prediction], Ranking]:
    """Return the most probable candidate for each text, and the ranking behind it; the model reads `shown` before every prompt."""
    candidates = list(task.candidates())
    prompts = [task.prompt(text) for text in texts]
    ranking = engine.rank([replace(p, shown=shown) for p in prompts], candidates, stage=stage)
    predictions = []
    for name, text, row in zip(ids, texts, ranking.probabilities(), strict=True):
        answer = candidates[int(row.argmax())]
        named = {label: float(p) for label, p in zip(task.labels, row, strict=True)}
        predictions.append(Prediction(name, text, answer.strip(), task.parse_answer(answer), named))
    return predictions, ranking

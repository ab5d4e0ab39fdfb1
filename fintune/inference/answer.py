"""Examples to predictions: a closed set of answers is ranked by the engine, any other is written, and the task decides.

Example:
    answered = predict(engine, task, [Example("1", {"text": "Profit rose."}, None)])
    answered.predictions[0].answer
    # 'positive'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fintune.inference.engines import Engine
from fintune.records import Answer, Example, Prediction, Prompt
from fintune.tasks import Task
from fintune.tasks.arrays import Floats, Ints


@dataclass(frozen=True)
class Answered:
    """Predictions, and for each, `(n,)`, the tokens its texts lost and what its gold answer cost, where that is known."""

    predictions: list[Prediction]
    cut: Ints
    loss: Floats | None
    """Nats of the gold answer, end token included; None where an example has none."""
    tokens: Ints
    """Length of the gold answer."""


def predict(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    *,
    shown: tuple[Prompt, ...] = (),
    stage: str = "predict",
) -> Answered:
    """Return the answers to examples, gold answers beside them where there are any; the model reads `shown` before every prompt."""
    n = len(examples)
    predictions: list[Prediction | None] = [None] * n
    cut, tokens, loss = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, np.nan)
    for choices, places in _by_choices(task, examples):
        some = [examples[i] for i in places]
        prompts = [replace(task.prompt(example), shown=shown) for example in some]
        answered = (
            _written(engine, task, some, prompts, stage)
            if choices is None
            else _ranked(engine, task, some, prompts, choices, stage)
        )
        for i, prediction in zip(places, answered.predictions, strict=True):
            predictions[i] = prediction
        cut[places], tokens[places] = answered.cut, answered.tokens
        loss[places] = np.nan if answered.loss is None else answered.loss
    whole = [prediction for prediction in predictions if prediction is not None]
    return Answered(whole, cut, None if np.isnan(loss).any() else loss, tokens)


def _by_choices(task: Task, examples: Sequence[Example]) -> list[tuple[Mapping[str, str] | None, list[int]]]:
    """Return the sets of choices, and the places of the examples that have them."""
    sets: dict[tuple[tuple[str, str], ...] | None, list[int]] = {}
    for i, example in enumerate(examples):
        choices = task.choices(example)
        sets.setdefault(None if choices is None else tuple(choices.items()), []).append(i)
    return [(None if pairs is None else dict(pairs), places) for pairs, places in sets.items()]


def _ranked(
    engine: Engine,
    task: Task,
    examples: Sequence[Example],
    prompts: Sequence[Prompt],
    choices: Mapping[str, str],
    stage: str,
) -> Answered:
    ranking = engine.rank(prompts, list(choices.values()), stage=stage)
    predictions = []
    for example, row in zip(examples, ranking.probabilities(), strict=True):
        probabilities = {name: float(p) for name, p in zip(choices, row, strict=True)}
        likeliest = choices[max(probabilities, key=lambda name: probabilities[name])].strip()
        answer = task.decide(probabilities, example)
        predictions.append(_prediction(example, answer, likeliest, probabilities))
    if any(example.target is None for example in examples):
        return Answered(predictions, ranking.cut, None, np.zeros(len(examples), np.int64))
    place = {answer: i for i, answer in enumerate(choices.values())}
    gold = [place[task.target(example)] for example in examples]
    return Answered(
        predictions, ranking.cut, -ranking.log_probability[np.arange(len(gold)), gold], ranking.tokens[gold]
    )


def _written(
    engine: Engine, task: Task, examples: Sequence[Example], prompts: Sequence[Prompt], stage: str
) -> Answered:
    written, cut = engine.write(prompts, stage=stage)
    predictions = [
        _prediction(example, task.parse_answer(text, example), text, {})
        for example, text in zip(examples, written, strict=True)
    ]
    if any(example.target is None for example in examples):
        return Answered(predictions, cut, None, np.zeros(len(examples), np.int64))
    loss, tokens = np.zeros(len(examples)), np.zeros(len(examples), np.int64)
    places: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        places.setdefault(task.target(example), []).append(i)
    for target, alike in places.items():
        ranking = engine.rank([prompts[i] for i in alike], [target], stage=f"{stage}, gold answers")
        loss[alike], tokens[alike] = -ranking.log_probability[:, 0], ranking.tokens[0]
    return Answered(predictions, cut, loss, tokens)


def _prediction(
    example: Example, answer: Answer | None, written: str, probabilities: Mapping[str, float]
) -> Prediction:
    return Prediction(example.id, example.fields, answer, written, probabilities, example.target, example.row)

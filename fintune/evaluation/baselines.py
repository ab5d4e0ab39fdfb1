"""A baseline's answers on a part, scored as a model's are.

>>> found = compete(BASELINES["few-shot"], contest, splits["test"], engine_behind)
>>> found.scores["accuracy"].value
0.61
"""

from collections.abc import Callable, Sequence
from typing import Any

from fintune.evaluation.evaluate import Evaluation, evaluate, score
from fintune.inference.engines import Engine
from fintune.records import Example, Prediction, Prompt
from fintune.tasks.baselines import Answers, Baseline, Contest


def compete(
    entry: Baseline,
    contest: Contest,
    scored: Sequence[Example],
    engine_behind: Callable[[tuple[Prompt, ...]], Engine],
    **options: Any,
) -> Evaluation:
    """Answer and score `scored`, whose texts the contest holds; `options` are those of classification_scores.

    `engine_behind` gives the base model with room for what is shown, which the prompts are then put behind.
    """
    if entry.ask is not None:
        shown = entry.ask(contest)
        running = engine_behind(shown)
        return evaluate(running, contest.task, scored, shown=shown, stage=f"score {entry.name}", **options)
    assert entry.answer is not None
    predictions = _predictions(entry.answer(contest), contest, scored)
    return Evaluation(predictions, score(predictions, contest.task, **options), cut=0)


def _predictions(answers: Answers, contest: Contest, scored: Sequence[Example]) -> list[Prediction]:
    found = []
    for i, (example, label) in enumerate(zip(scored, answers.labels, strict=True)):
        row = [] if answers.probabilities is None else answers.probabilities[i].tolist()
        named = dict(zip(contest.task.labels, row, strict=bool(row)))
        said = contest.task.answer(label).strip()
        found.append(Prediction(example.id, example.text, said, label, named, example.label))
    return found

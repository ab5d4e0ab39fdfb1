"""The baselines of a config on a part of its data, scored as its model is.

Example:
    score_baseline(BASELINES["few-shot"], prepared, base, "test").scores[task.headline[0]].value
    # 0.61
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.config.prepare import Prepared
from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.evaluation.evaluate import Evaluation, evaluate, score, scoring_options
from fintune.inference.candidates import longest_answer
from fintune.inference.load import engine
from fintune.models.blocks import unwrap
from fintune.models.prompts import PromptEncoder
from fintune.records import Example, Prediction, Prompt, TooLong
from fintune.tasks import Task
from fintune.tasks.baselines import BASELINES, Answers, Baseline, BaselineInput
from fintune.tasks.protocol import blank

if TYPE_CHECKING:
    from fintune.models import LoadedModel


def score_baselines(prepared: Prepared, base: "LoadedModel", part: str) -> dict[str, Evaluation]:
    """Return what each baseline of the config answered on a part, and its scores, by name; see applicable."""
    return {entry.name: score_baseline(entry, prepared, base, part) for entry in applicable(prepared)}


def score_baseline(entry: Baseline, prepared: Prepared, base: "LoadedModel | None", part: str) -> Evaluation:
    """Return what one baseline answers on a part, and its scores; `base` is read by those alone that need a model."""
    config, examples = prepared.config, prepared.splits[part]
    visible, scoring = baseline_input(prepared, part), scoring_options(config)
    if entry.ask is None:
        assert entry.answer is not None
        predictions = predictions_from(entry.answer(visible), prepared.task, examples)
        return Evaluation(predictions, score(predictions, prepared.task, **scoring), cut=0)
    assert base is not None, f"{entry.name} needs the base model"
    shown = entry.ask(visible)
    longer = config.with_(model__max_length=_length(config, base, shown))
    return evaluate(engine(longer, base), prepared.task, examples, shown=shown, stage=f"score {entry.name}", **scoring)


def baseline_input(prepared: Prepared, part: str) -> BaselineInput:
    """Return what the baselines may see when they answer a part."""
    config, splits = prepared.config, prepared.splits
    return BaselineInput(
        task=prepared.task,
        train=splits["train"],
        validation=splits["validation"],
        texts=[e.text for e in splits[part]],
        seed=config.train.seed,
        shots=config.evaluation.shots,
    )


def applicable(prepared: Prepared) -> list[Baseline]:
    """Return the baselines of the config that go with the task, each once."""
    entries = [BASELINES[name] for name in dict.fromkeys(prepared.config.evaluation.baselines)]
    return [entry for entry in entries if entry.left_out(prepared.task) is None]


def need_room(prepared: Prepared, base: "LoadedModel") -> None:
    """Raise ModelError when what a baseline shows the base model, with a prompt behind it, is more than that can read."""
    task, visible = prepared.task, baseline_input(prepared, "validation")
    for entry in applicable(prepared):
        shown = entry.ask(visible) if entry.ask is not None else ()
        if not shown:
            continue
        encoder = PromptEncoder(base.tokenizer, base.kind, _length(prepared.config, base, shown))
        reserve = longest_answer(encoder, task, prepared.splits["train"])
        ids = encoder.encode_prompt(replace(task.prompt(blank(task, "?")), shown=shown), reserve=reserve)
        if isinstance(ids, TooLong):
            raise ModelError(
                f"evaluation.baselines: {entry.name} shows {ids.needed} tokens, and the base model reads {ids.limit}",
                hint="Lower evaluation.shots, or leave it out.",
            )


def predictions_from(answers: Answers, task: Task, examples: Sequence[Example]) -> list[Prediction]:
    """Return a baseline's answers as a model's predictions are stored."""
    predictions = []
    for i, (example, answer) in enumerate(zip(examples, answers.answers, strict=True)):
        row = [] if answers.probabilities is None else answers.probabilities[i].tolist()
        choices = task.choices(example) or {}
        written = choices.get(str(answer), str(answer)).strip()
        by_name = dict(zip(choices, row, strict=bool(row))) if row else {}
        made = Prediction(example.id, example.fields, answer, written, by_name, example.target, example.row)
        predictions.append(made)
    return predictions


_LONGEST = 1_000_000
"""What model.max_length may be."""


def _length(config: RunConfig, base: "LoadedModel", shown: tuple[Prompt, ...]) -> int:
    """Return model.max_length and the tokens of `shown`, but no more than the model has positions for."""
    longer = PromptEncoder(base.tokenizer, base.kind, config.model.max_length).length(shown)
    most = getattr(unwrap(base.model).config.get_text_config(), "max_position_embeddings", None)
    wanted = min(config.model.max_length + longer, _LONGEST)
    return wanted if most is None or not longer else max(config.model.max_length, min(wanted, most))

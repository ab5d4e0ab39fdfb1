"""The baselines of a config, run beside its model on the same part.

>>> challenge(prepared, base, "test")["few-shot"].scores["accuracy"].value
0.61
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.assembly import engine
from fintune.baselines import BASELINES, Baseline, Contest
from fintune.engines import Engine
from fintune.errors import ModelError
from fintune.evaluation import Evaluation
from fintune.evaluation.baselines import compete
from fintune.models.stack import bare
from fintune.preparation import Prepared
from fintune.prompts import PromptEncoder
from fintune.records import TooLong
from fintune.sections import RunConfig

if TYPE_CHECKING:
    from fintune.models import LoadedModel


def challenge(prepared: Prepared, base: "LoadedModel", part: str) -> dict[str, Evaluation]:
    """What each baseline answered on a part, and its scores, by name; those that do not know the task's labels are left out."""
    config, contest = prepared.config, contest_of(prepared, part)
    evaluation = config.evaluation
    return {
        entry.name: compete(
            entry,
            contest,
            prepared.splits[part],
            lambda before: _behind(config, base, before),
            resamples=evaluation.resamples,
            confidence=evaluation.confidence,
        )
        for entry in _taking_part(prepared)
    }


def contest_of(prepared: Prepared, part: str) -> Contest:
    """What the baselines may see."""
    config, splits = prepared.config, prepared.splits
    texts = [e.text for e in splits[part]]
    seed, shots = config.train.seed, config.evaluation.shots
    return Contest(prepared.task, splits["train"], splits["validation"], texts, seed=seed, shots=shots)


def need_room(prepared: Prepared, base: "LoadedModel") -> None:
    """Raise ModelError when what a baseline shows the base model, with a prompt behind it, is more than that can read."""
    contest = contest_of(prepared, "validation")
    for entry in _taking_part(prepared):
        before = entry.ask(contest) if entry.ask is not None else ""
        if not before:
            continue
        encoder = PromptEncoder(base.tokenizer, base.kind, _length(prepared.config, base, before))
        reserve = max(len(encoder.answer_ids(answer)) for answer in contest.task.candidates())
        prompt = contest.task.prompt("?")
        found = encoder.encode_prompt(replace(prompt, before=before + prompt.before), reserve=reserve)
        if isinstance(found, TooLong):
            raise ModelError(
                f"evaluation.baselines: {entry.name} shows {found.needed} tokens, and the base model reads {found.limit}",
                hint="Lower evaluation.shots, or leave it out.",
            )


def _taking_part(prepared: Prepared) -> list[Baseline]:
    chosen = [BASELINES[name] for name in dict.fromkeys(prepared.config.evaluation.baselines)]
    return [entry for entry in chosen if entry.left_out(prepared.task.labels) is None]


def _behind(config: RunConfig, base: "LoadedModel", before: str) -> Engine:
    """The base model's engine, which may read as much of a text behind `before` as without it."""
    model = config.model.model_copy(update={"max_length": _length(config, base, before)})
    running: Engine = engine(config.model_copy(update={"model": model}), base)
    return running


def _length(config: RunConfig, base: "LoadedModel", before: str) -> int:
    """model.max_length and the tokens of `before`, but no more than the model has positions for."""
    longer = len(base.tokenizer(before, add_special_tokens=False)["input_ids"])
    most = getattr(bare(base.model).config.get_text_config(), "max_position_embeddings", None)
    wanted = config.model.max_length + longer
    return wanted if most is None or not longer else max(config.model.max_length, min(wanted, most))

"""The baselines of a config, run beside its model on the same part.

>>> challenge(prepared, base, "test")["few-shot"].scores["accuracy"].value
0.61
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.config.prepare import Prepared
from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.evaluation.baselines import compete
from fintune.evaluation.evaluate import Evaluation
from fintune.inference.candidates import answers_of
from fintune.inference.engines import Engine
from fintune.inference.load import engine
from fintune.models.blocks import unwrap
from fintune.models.prompts import PromptEncoder
from fintune.records import Prompt, TooLong
from fintune.tasks.baselines import BASELINES, Baseline, Contest

if TYPE_CHECKING:
    from fintune.models import LoadedModel


def challenge(prepared: Prepared, base: "LoadedModel", part: str) -> dict[str, Evaluation]:
    """Return what each baseline answered on a part, and its scores, by name; those that do not know the task's labels are left out."""
    config, contest = prepared.config, contest_of(prepared, part)
    evaluation = config.evaluation
    return {
        entry.name: compete(
            entry,
            contest,
            prepared.splits[part],
            lambda shown: _behind(config, base, shown),
            resamples=evaluation.resamples,
            confidence=evaluation.confidence,
        )
        for entry in _taking_part(prepared)
    }


def contest_of(prepared: Prepared, part: str) -> Contest:
    """Return what the baselines may see."""
    config, splits = prepared.config, prepared.splits
    texts = [e.text for e in splits[part]]
    seed, shots = config.train.seed, config.evaluation.shots
    return Contest(prepared.task, splits["train"], splits["validation"], texts, seed=seed, shots=shots)


def need_room(prepared: Prepared, base: "LoadedModel") -> None:
    """Raise ModelError when what a baseline shows the base model, with a prompt behind it, is more than that can read."""
    contest = contest_of(prepared, "validation")
    for entry in _taking_part(prepared):
        shown = entry.ask(contest) if entry.ask is not None else ()
        if not shown:
            continue
        encoder = PromptEncoder(base.tokenizer, base.kind, _length(prepared.config, base, shown))
        reserve = max(map(len, answers_of(encoder, contest.task)))
        found = encoder.encode_prompt(replace(contest.task.prompt("?"), shown=shown), reserve=reserve)
        if isinstance(found, TooLong):
            raise ModelError(
                f"evaluation.baselines: {entry.name} shows {found.needed} tokens, and the base model reads {found.limit}",
                hint="Lower evaluation.shots, or leave it out.",
            )


def _taking_part(prepared: Prepared) -> list[Baseline]:
    chosen = [BASELINES[name] for name in dict.fromkeys(prepared.config.evaluation.baselines)]
    return [entry for entry in chosen if entry.left_out(prepared.task.labels) is None]


def _behind(config: RunConfig, base: "LoadedModel", shown: tuple[Prompt, ...]) -> Engine:
    """Return the base model's engine, which may read as much of a text behind `shown` as without it."""
    model = config.model.model_copy(update={"max_length": _length(config, base, shown)})
    return engine(config.model_copy(update={"model": model}), base)


def _length(config: RunConfig, base: "LoadedModel", shown: tuple[Prompt, ...]) -> int:
    """model.max_length and the tokens of `shown`, but no more than the model has positions for."""
    longer = PromptEncoder(base.tokenizer, base.kind, config.model.max_length).length(shown)
    most = getattr(unwrap(base.model).config.get_text_config(), "max_position_embeddings", None)
    wanted = config.model.max_length + longer
    return wanted if most is None or not longer else max(config.model.max_length, min(wanted, most))

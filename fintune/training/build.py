"""From a config to a model that can be trained: the method tried on, attached, and what need not be computed kept in a file.

Example:
    tuned = attached(config, load_base(config), encoded)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from fintune.config.prepare import Prepared, need_fit, need_positions
from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens
from fintune.inference.load import shortcuts_of
from fintune.methods import METHODS
from fintune.methods.protocol import Steps
from fintune.records import Encoded
from fintune.runtime.progress import tell
from fintune.runtime.threads import multiplies_bfloat16
from fintune.training.encode import prompts_of

if TYPE_CHECKING:
    from fintune.models import LoadedModel
    from fintune.models.shortcuts import TrunkCache


_JUDGED = 100
"""Training examples judged after an epoch, at most."""


def try_method(config: RunConfig) -> None:
    """Refuse what `attached` would refuse, before any weight is loaded: the method is put on a model without weights.

    Nothing is said of a model that is not at hand, and of what depends on the weights' values. Raises ModelError.
    """
    from torch import random

    from fintune.models.skeleton import skeleton

    if METHODS[config.method.name].only is not None or (bare := skeleton(config.model.base)) is None:
        return
    try:
        with random.fork_rng(devices=[]):
            METHODS[config.method.name].attach(bare.model, config.method.resolved(bare.tokenizer), bare.kind)
    except (RuntimeError, ModelError) as error:
        if not isinstance(error, RuntimeError) and not isinstance(error.__context__, RuntimeError):
            raise  # a RuntimeError is torch's: a start that reads values finds none here


def attached(config: RunConfig, base: "LoadedModel", encoded: Sequence[Encoded]) -> "LoadedModel":
    """Return the base model with the method's parameters, the same ones for the same seed and training part."""
    from transformers import set_seed

    from fintune.methods.example_losses import example_losses

    need_fit(config, base.kind)
    need_positions(config, getattr(base.model.config.get_text_config(), "max_position_embeddings", None))
    method, options = METHODS[config.method.name], config.method.resolved(base.tokenizer)
    set_seed(config.train.seed)
    tuned = replace(base, model=method.attach(base.model, options, base.kind))
    rows = shortcuts_of(config, base).rows
    method.initialize(tuned.model, options, example_losses(tuned, encoded, config.train.seed, rows))
    return tuned


def warn_of_bfloat16(config: RunConfig, base: "LoadedModel") -> None:
    """Say so where bfloat16 is asked of a CPU that does not have it."""
    uses = {
        "train.bf16": config.train.bf16 is True,
        "train.trunk_cache_dtype": config.train.trunk_cache_dtype == "bfloat16",
        "model.dtype": config.model.dtype == "bfloat16",
    }
    names = ", ".join(name for name, is_used in uses.items() if is_used)
    if names and base.device.type == "cpu" and not multiplies_bfloat16():
        tell("model", f"warning: this CPU has no bfloat16 products; {names}: many times slower here than float32")


def judged_of_train(train: int, validation: int) -> int:
    """Return how many training examples are judged beside validation after an epoch: enough to see a gap, and not half of the work."""
    return min(train, validation, _JUDGED)


class StepWork(TypedDict):
    """What a method asks of the optimizer and of every step: fields of training's Hooks."""

    rates: Mapping[str, float]
    steps: Steps | None


def work_of_steps(config: RunConfig, tuned: "LoadedModel") -> StepWork:
    """Return what the method of a config asks."""
    method = METHODS[config.method.name]
    return {"rates": method.rates(tuned.model, config.method) if method.rates else {}, "steps": method.steps}


def trunk_cache(
    prepared: Prepared, tuned: "LoadedModel", encoded: Sequence[Encoded], root: Path | None = None
) -> "TrunkCache | None":
    """Return states of the texts to train and validate on below the lowest adapter, computed where a file lacks them.

    Texts of both parts are in one file where judging can use it, so that folds, seeds and methods share it. None where there is
    nothing to cache, the reason said if blocks were chosen; ModelError when train.trunk_cache: true asks for what cannot be.
    """
    from fintune.models.shortcuts.trunk import NoTrunk, find_trunk
    from fintune.training.trunk import open_cache

    settings = prepared.config.train
    if settings.trunk_cache is False:
        return None
    if settings.trunk_cache == "auto" and settings.bf16 is True and settings.trunk_cache_dtype == "float32":
        return None  # autocast would have the blocks compute otherwise than the file was computed
    trunk, method = None, METHODS[prepared.config.method.name]
    try:
        if not method.trunk:
            raise NoTrunk(f"{method.name} changes what every block reads")
        trunk = find_trunk(tuned.model, tuned.kind)
        judged = tuned.kind == "seq2seq" or first_tokens(prepared.config, prepared.task, tuned) is not None
        # whole answers are read behind all blocks, so their prompts need no states
        prompts = prompts_of(prepared, tuned, "validation") if judged else []
        return open_cache(trunk, tuned, encoded, prompts, settings, root)
    except NoTrunk as reason:
        if settings.trunk_cache is True:
            raise ModelError(f"train.trunk_cache: {reason}", hint="Use train.trunk_cache: auto.") from None
        if trunk is not None or getattr(prepared.config.method, "layers", "all") != "all":
            tell("trunk", f"nothing is cached: {reason}")
        return None

"""Encoded examples and a model with trainable parameters in, the best epoch's parameters kept.

transformers' Trainer underneath (so accelerate, FSDP and DeepSpeed stay open) with four things of our own: the batches,
the loss at answer positions, checkpoints that are never half, and the epoch's judgment, which the caller passes in.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from fintune.config.train import TrainSection
from fintune.methods.lora.fused import fused
from fintune.models import LoadedModel
from fintune.models.batches import Side, collator, read
from fintune.models.quantization import known_as_adapted
from fintune.models.shortcuts.shortcuts import STATES, Shortcuts
from fintune.records import Encoded
from fintune.runtime.progress import tell
from fintune.training.loop.answer_trainer import AnswerTrainer
from fintune.training.loop.arguments import arguments, steps_an_epoch
from fintune.training.loop.callback import Watch
from fintune.training.loop.checkpoints import step_of
from fintune.training.loop.hooks import Hooks, Judgment

__all__ = ["Hooks", "Judgment", "train"]


def train(
    loaded: LoadedModel,
    examples: Sequence[Encoded],
    settings: TrainSection,
    hooks: Hooks,
    *,
    folder: Path,
    resume: bool = False,
) -> int:
    """Train the model's trainable parameters in place; returns the number of the best epoch (from 1), which `keep` saw.

    Checkpoints go to `folder`; with `resume` training goes on from the newest whole one there, to the same parameters.
    """
    watch = Watch(hooks, settings, steps_an_epoch(settings, len(examples)))
    with known_as_adapted(loaded.model):
        trainer = AnswerTrainer(
            settings,
            watch,
            hooks,
            model=loaded.model,
            args=arguments(loaded, settings, folder, len(examples)),
            train_dataset=list(examples),
            data_collator=_collator(loaded, hooks.shortcuts),
            callbacks=[watch, *_tensorboard(settings, folder)],
        )
    trainer.remove_callback(PrinterCallback)
    watch.reporters = [c for c in trainer.callback_handler.callbacks if isinstance(c, _reporters(settings))]
    latest = trainer.checkpoints.latest() if resume else None
    with fused(loaded, settings.lean):
        if latest is not None:
            tell("train", f"going on from step {step_of(latest)}")
            trainer.resume(latest)
        elif resume:
            hooks.rewind(0)
        if not watch.stopped_early:
            trainer.train(resume_from_checkpoint=str(latest) if latest else None)
    loaded.model.eval()
    return watch.best_epoch


def _collator(loaded: LoadedModel, shortcuts: Shortcuts) -> Callable[[Sequence[Encoded]], dict[str, torch.Tensor]]:
    """Return the collate function of the model's kind, with the states of the trunk where they are known."""
    plain, cache = collator(loaded), shortcuts.trunk
    if cache is None:
        return plain
    side: Side = "left" if loaded.kind == "causal" else "right"
    return lambda batch: plain(batch) | {STATES: cache.states([read(example, loaded.kind) for example in batch], side)}


def _reporters(settings: TrainSection) -> tuple[type[TrainerCallback], ...]:
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    return tuple(get_reporting_integration_callbacks(list(settings.report_to)))  # type: ignore[no-untyped-call]


def _tensorboard(settings: TrainSection, folder: Path) -> list[TrainerCallback]:
    """Return the Trainer's own callback, writing beside the checkpoints (its default place is among them, and they go)."""
    if "tensorboard" not in settings.report_to:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(folder.with_name("tensorboard"))))]  # type: ignore[no-untyped-call]

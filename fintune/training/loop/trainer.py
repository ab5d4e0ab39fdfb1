"""Encoded examples and a model with trainable parameters in, the best epoch's parameters kept.

transformers' Trainer underneath (so accelerate, FSDP and DeepSpeed stay open) with four things of our own: the batches,
the loss at answer positions, checkpoints that are never half, and the epoch's judgment, which the caller passes in.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from fintune.config.train import TrainSection
from fintune.models import LoadedModel
from fintune.models.batches import Side, collator, micro_batches, read
from fintune.models.loss import answer_loss
from fintune.models.quantization import known_as_adapted
from fintune.models.shortcuts.shortcuts import STATES, Shortcuts
from fintune.records import Encoded
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.progress import tell
from fintune.training.leanly import leanly
from fintune.training.loop.arguments import arguments, steps_an_epoch
from fintune.training.loop.callback import Watch
from fintune.training.loop.checkpoints import Checkpoints, step_of
from fintune.training.loop.failures import need_finite, out_of_memory
from fintune.training.loop.hooks import Hooks, Judgment
from fintune.training.loop.method_callback import StepsCallback, set_rates
from fintune.training.loop.sampler import BucketSampler
from fintune.training.loop.trainer_checkpoints import SealedCheckpoints

__all__ = ["Hooks", "Judgment", "answer_loss", "train"]


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
            hooks.shortcuts,
            model=loaded.model,
            args=arguments(loaded, settings, folder, len(examples)),
            train_dataset=list(examples),
            data_collator=_collator(loaded, hooks.shortcuts),
            callbacks=[watch, *_tensorboard(settings, folder)],
        )
    trainer.use(hooks)
    trainer.remove_callback(PrinterCallback)
    watch.reporters = [c for c in trainer.callback_handler.callbacks if isinstance(c, _reporters(settings))]
    latest = trainer.checkpoints.latest() if resume else None
    with leanly(loaded, settings):
        if latest is not None:
            tell("train", f"going on from step {step_of(latest)}")
            trainer.take_up(latest)
        elif resume:
            hooks.rewind(0)
        if not watch.stopped_early:
            trainer.train(resume_from_checkpoint=str(latest) if latest else None)
    loaded.model.eval()
    return watch.best_epoch


class AnswerTrainer(SealedCheckpoints, Trainer):
    """Trainer with our batch sampler, and labels that are aligned with the logits already."""

    def __init__(self, settings: TrainSection, watch: Watch, shortcuts: Shortcuts, **kwargs: Any) -> None:
        super().__init__(compute_loss_func=self._answer_loss, **kwargs)
        self.watch, self._shortcuts = watch, shortcuts
        self.checkpoints = Checkpoints(Path(str(self.args.output_dir)))
        self._staging = self.checkpoints.folder
        self._settings = settings
        self._rates: Mapping[str, float] = {}
        self._weights: torch.Tensor | None = None
        self._loss_shifts_labels = False  # else the Trainer leaves the first label out when it counts answer tokens

    def use(self, hooks: Hooks) -> None:
        """Take up what the method asks for."""
        self._rates = hooks.rates
        if hooks.steps is not None:
            self.method_steps = StepsCallback(hooks.steps)
            self.add_callback(self.method_steps)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return the Trainer's, with the method's learning rates."""
        made = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if made and self._rates:
            set_rates(optimizer, self.model if model is None else model, self._rates)
        return optimizer

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches from BucketSampler, sharded by accelerate."""
        data: Any = self.train_dataset
        loader = DataLoader(data, batch_sampler=self._sampler(), collate_fn=self.data_collator)
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _sampler(self) -> BucketSampler:
        data: Any = self.train_dataset
        lengths = [len(example.input_ids) + len(example.labels) for example in data]
        strata = [example.stratum for example in data] if self._settings.sampling == "balanced" else None
        return BucketSampler(lengths, self.args.train_batch_size, self.args.seed, strata=strata)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the Trainer's, with the weights kept from the model, which need not keep keys and values either."""
        self._weights = inputs.pop("weights", None)
        with self._shortcuts.taken(self.accelerator.unwrap_model(model), inputs) as wanted:
            return super().compute_loss(model, wanted | {"use_cache": False}, *args, **kwargs)

    def _answer_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        smoothing, rows = self._settings.label_smoothing_factor, self._shortcuts.rows
        return answer_loss(outputs, labels, num_items_in_batch, self._weights, smoothing, rows)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Gradients of a batch, part by part: answer_loss divides by the tokens of the whole, so parts add up to it."""
        self.watch.count(inputs)
        parts = micro_batches(inputs, self._settings.micro_batch_tokens)
        try:
            losses = [super(AnswerTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            rows, length = inputs["input_ids"].shape
            raise out_of_memory(self.state.global_step + 1, (rows, length), self._settings) from error
        answers = torch.stack(losses).sum()
        self.watch.hear(self.state.global_step + 1, answers)
        loss = answers + self._penalty(model)
        self._need_finite(float(loss), "the loss")
        return loss

    def _penalty(self, model: Any) -> torch.Tensor | float:
        """Return the loss a method adds to each batch, its gradients taken."""
        if self.method_steps is None:
            return 0.0
        share = self.method_steps.steps.penalty(self.accelerator.unwrap_model(model))
        if not torch.is_tensor(share):
            return 0.0
        share = share / self.args.gradient_accumulation_steps
        self.accelerator.backward(share)
        return share.detach()

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if norm is not None:
            self._need_finite(float(norm), "the gradient's norm")
        return norm

    def _need_finite(self, number: float, what: str) -> None:
        """Before the optimizer has stepped, so that the parameters are still good."""
        if not math.isfinite(number):
            step = self.state.global_step + 1
            need_finite(number, f"{what} at step {step}", self._settings, self._rows(step))

    def _rows(self, step: int) -> list[str]:
        """Ids of the examples of an optimizer step."""
        sampler, data = self._sampler(), self.train_dataset
        epoch, within = divmod(step - 1, steps_an_epoch(self._settings, len(data)))  # type: ignore[arg-type]
        sampler.set_epoch(epoch)
        first = within * self.args.gradient_accumulation_steps
        batches = islice(sampler, first, first + self.args.gradient_accumulation_steps)
        return [data[i].id for batch in batches for i in batch]  # type: ignore[index]


def _collator(loaded: LoadedModel, shortcuts: Shortcuts) -> Any:
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

"""transformers' Trainer with our batches, our loss at answer positions, and checkpoints that are never half.

This is the one file that overrides private methods of Trainer; tests/training/loop/test_trainer_internals.py names them and
what they are called with. Sharded training (FSDP, DeepSpeed) keeps the Trainer's own way for weights; that road is untested here.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader
from transformers import Trainer

from fintune.config.train import TrainSection
from fintune.models.batches import micro_batches
from fintune.models.loss import answer_loss, to_learn
from fintune.records import Encoded
from fintune.runtime.library_messages import is_out_of_memory
from fintune.training.loop.arguments import steps, steps_an_epoch
from fintune.training.loop.callback import Watch
from fintune.training.loop.checkpoints import Checkpoints, load_trainable, save_trainable
from fintune.training.loop.failures import need_finite, out_of_memory
from fintune.training.loop.hard_examples import hard_examples
from fintune.training.loop.hooks import Hooks
from fintune.training.loop.method_callback import StepsCallback, set_rates
from fintune.training.loop.sampler import BucketSampler

Batch = dict[str, torch.Tensor]


class Targets(NamedTuple):
    """What the loss reads beside the model's outputs; it goes through the Trainer in the place of the labels."""

    labels: torch.Tensor
    weights: torch.Tensor
    shares: torch.Tensor | None
    numbers: torch.Tensor | None


class AnswerTrainer(Trainer):
    """Trainer whose labels are aligned with the logits already; optimizer, schedule and random states are saved its own way."""

    def __init__(
        self, settings: TrainSection, watch: Watch, hooks: Hooks, *, train_dataset: list[Encoded], **trainer: Any
    ) -> None:
        super().__init__(compute_loss_func=self._answer_loss, train_dataset=train_dataset, **trainer)
        self._loss_shifts_labels = False  # else the Trainer leaves the first label out when it counts answer tokens
        self.watch, self.checkpoints = watch, Checkpoints(Path(str(self.args.output_dir)))
        self._staging = self.checkpoints.folder
        self._settings, self._examples = settings, train_dataset
        self._shortcuts, self._rates = hooks.shortcuts, hooks.rates
        self._hard = hard_examples(
            settings.hard_example_ratio, len(train_dataset), self.args.train_batch_size, self.args.world_size
        )
        self._steps = None if hooks.steps is None else StepsCallback(hooks.steps)
        if self._steps is not None:
            self.add_callback(self._steps)

    @property
    def _module(self) -> torch.nn.Module:
        """The model that is trained."""
        assert self.model is not None
        return self.model

    def resume(self, checkpoint: Path) -> None:
        """Restore what the caller sees of a checkpoint, and judge an epoch that was trained but not judged."""
        self.watch.restore(checkpoint)
        self._load_from_checkpoint(str(checkpoint))
        if self._hard is not None:
            self._hard.restore(checkpoint)
        if self._steps is not None:
            self._steps.restore(self._module, checkpoint, steps(self._settings, len(self._examples)))
        self.watch.resume(self._module)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Return the Trainer's, with the method's learning rates."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new and self._rates:
            set_rates(optimizer, self._module if model is None else model, self._rates)
        return optimizer

    def get_train_dataloader(self) -> DataLoader[Encoded]:
        """Return batches from BucketSampler, sharded by accelerate."""
        numbers: Any = range(len(self._examples))  # a Dataset by its methods, not by its class
        loader = DataLoader(numbers, batch_sampler=self._sampler(), collate_fn=self._collated)
        prepared: DataLoader[Encoded] = self.accelerator.prepare(loader)
        return prepared

    def _collated(self, numbers: Sequence[int]) -> Batch:
        examples: list[Any] = [self._examples[i] for i in numbers]
        batch: Batch = self.data_collator(examples)
        return batch if self._hard is None else batch | {"numbers": torch.tensor(numbers)}

    def _sampler(self) -> BucketSampler:
        lengths = [len(example.input_ids) + len(example.answer_ids) for example in self._examples]
        strata = [example.stratum for example in self._examples] if self._settings.sampling == "balanced" else None
        among = {} if self._hard is None else {"among": self._hard.among}
        return BucketSampler(lengths, self.args.train_batch_size, self.args.seed, strata=strata, **among)

    def training_step(
        self, model: torch.nn.Module, inputs: Batch, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Take gradients of a batch, part by part: answer_loss divides by the tokens of the whole, so parts add up to it."""
        self.watch.meter.count(inputs)
        parts = micro_batches(inputs, self._settings.micro_batch_tokens)
        try:
            losses = [super(AnswerTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            rows, length = inputs["input_ids"].shape
            raise out_of_memory(self.state.global_step + 1, (rows, length), self._settings) from error
        answers = torch.stack(losses).sum()
        self.watch.note_loss(self.state.global_step + 1, answers)
        loss = answers + self._penalty(model)
        self._need_finite(float(loss), "the loss")
        return loss

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, object]:
        """Return the Trainer's; the weights are kept from the model, which need not keep keys and values either."""
        labels, weights = inputs.pop("labels"), inputs.pop("weights")
        targets = Targets(labels, weights, inputs.pop("shares", None), inputs.pop("numbers", None))
        with self._shortcuts.taken(self.accelerator.unwrap_model(model), inputs) as shortened:
            batch = shortened | {"labels": targets, "use_cache": False}
            return super().compute_loss(model, batch, return_outputs, num_items_in_batch)

    def _answer_loss(
        self, outputs: Any, targets: Targets, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        smoothing, rows = self._settings.label_smoothing_factor, self._shortcuts.rows
        if self._hard is not None and targets.numbers is not None:
            self._hard.note(targets.numbers, to_learn(outputs, targets.labels, rows, targets.shares))
        return answer_loss(
            outputs, targets.labels, num_items_in_batch, targets.weights, smoothing, rows, shares=targets.shares
        )

    def _penalty(self, model: torch.nn.Module) -> torch.Tensor | float:
        """Return the loss a method adds to each batch, its gradients taken."""
        if self._steps is None:
            return 0.0
        share = self._steps.steps.penalty(self.accelerator.unwrap_model(model))
        if not torch.is_tensor(share):
            return 0.0
        share = share / self.args.gradient_accumulation_steps
        self.accelerator.backward(share)
        return share.detach()

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor | float | None:
        norm: torch.Tensor | float | None = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if norm is not None:
            self._need_finite(float(norm), "the gradient's norm")
        return norm

    def _need_finite(self, number: float, what: str) -> None:
        """Raise TrainingError before the optimizer has stepped, so that the parameters are still good."""
        if not math.isfinite(number):
            step = self.state.global_step + 1
            need_finite(number, f"{what} at step {step}", self._settings, self._rows(step))

    def _rows(self, step: int) -> list[str]:
        """Return ids of the examples of an optimizer step."""
        sampler = self._sampler()
        epoch, within = divmod(step - 1, steps_an_epoch(self._settings, len(self._examples)))
        sampler.set_epoch(epoch)
        first = within * self.args.gradient_accumulation_steps
        batches = islice(sampler, first, first + self.args.gradient_accumulation_steps)
        return [self._examples[i].id for batch in batches for i in batch]

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if not self.args.should_save:  # processes other than the first of each machine: their random states only
            self._staging = self.checkpoints.folder / ".new"
            super()._save_checkpoint(model, trial)
            return
        self.checkpoints.save(self.state.global_step, lambda staging: self._fill(staging, model, trial))

    def _fill(self, staging: Path, model: torch.nn.Module, trial: Any) -> None:
        self._staging = staging
        super()._save_checkpoint(model, trial)
        self.watch.save(staging)
        if self._hard is not None:
            self._hard.save(staging)
        if self._steps is not None:
            self._steps.save(self._module, staging)
        own = staging / f"checkpoint-{self.state.global_step}"
        for file in own.iterdir():
            file.rename(staging / file.name)
        own.rmdir()

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging)

    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Any] | None = None) -> None:
        save_trainable(self._module, Path(output_dir or self._staging))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        load_trainable(self._module, Path(resume_from_checkpoint))

"""Encoded examples and a model with trainable parameters in, the best epoch's parameters kept.

transformers' Trainer underneath (so accelerate, FSDP and DeepSpeed stay open) with three things of our own: the batches,
the loss at answer positions, and the epoch's judgement, which the caller passes in as `judge`.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from fintune.errors import TrainingError
from fintune.metrics import perplexity
from fintune.models import LoadedModel
from fintune.progress import advance
from fintune.records import Encoded
from fintune.sections import TrainSection
from fintune.training.batching import IGNORE, BucketSampler, collator, micro_batches
from fintune.training.memory import peak_memory


@dataclass(frozen=True)
class Judgement:
    """How good the parameters of an epoch are: the larger (`macro_f1`, then the smaller `loss`) the better."""

    macro_f1: float
    loss: float
    figures: Mapping[str, float]
    """what log.jsonl and the screen show"""

    def better_than(self, other: "Judgement | None") -> bool:
        """Strictly better, or first."""
        return other is None or (self.macro_f1, -self.loss) > (other.macro_f1, -other.loss)


@dataclass(frozen=True)
class Hooks:
    """What the caller does for training: `judge` an epoch (its number from 1), `keep` the current parameters, `log` a line."""

    judge: Callable[[int], Judgement]
    keep: Callable[[], None]
    log: Callable[[Mapping[str, Any]], None]


def train(
    loaded: LoadedModel,
    examples: Sequence[Encoded],
    settings: TrainSection,
    hooks: Hooks,
    *,
    folder: Path,
    logging_steps: int = 5,
) -> int:
    """Train the model's trainable parameters in place; returns the number of the best epoch (from 1), which `keep` saw."""
    callback = _EpochCallback(hooks, settings, len(examples))
    trainer = AnswerTrainer(
        model=loaded.model,
        args=_arguments(loaded, settings, folder, logging_steps, len(examples)),
        train_dataset=list(examples),
        data_collator=collator(loaded),
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    callback.reporters = [c for c in trainer.callback_handler.callbacks if isinstance(c, _reporters(settings))]
    trainer.callback_state, trainer.micro_batch_tokens = callback, settings.micro_batch_tokens
    trainer.balanced = settings.sampling == "balanced"
    trainer.train()
    loaded.model.eval()
    return callback.best_epoch


def answer_loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: torch.Tensor | int | None = None,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy (nats) of answer tokens, summed and divided by the answer tokens of the whole accumulated batch.

    `outputs.logits` is `(batch, answer, vocabulary)`, `labels` `(batch, answer)`, aligned: no shift. `weights` `(batch,)`
    scale the examples; their mean over the training part is 1, so the divisor stays the number of tokens.
    """
    losses = torch.nn.functional.cross_entropy(
        outputs.logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="none"
    ).view(labels.shape)
    total = losses.sum() if weights is None else (losses * weights[:, None]).sum()
    return total / (num_items_in_batch if num_items_in_batch is not None else (labels != IGNORE).sum())


class AnswerTrainer(Trainer):
    """Trainer with our batch sampler, and labels that are aligned with the logits already."""

    callback_state: "_EpochCallback"
    micro_batch_tokens: int
    balanced = False
    """whether an epoch draws as often from every label"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(compute_loss_func=self._answer_loss, **kwargs)
        self._weights: torch.Tensor | None = None
        self._loss_shifts_labels = False  # else the Trainer leaves the first label out when it counts answer tokens

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches from BucketSampler, sharded by accelerate."""
        data: Any = self.train_dataset
        lengths = [len(example.input_ids) + len(example.labels) for example in data]
        strata = [example.stratum for example in data] if self.balanced else None
        sampler = BucketSampler(lengths, self.args.train_batch_size, self.args.seed, strata=strata)
        loader = DataLoader(data, batch_sampler=sampler, collate_fn=self.data_collator)
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's, with the weights kept from the model."""
        self._weights = inputs.pop("weights", None)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _answer_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        return answer_loss(outputs, labels, num_items_in_batch, self._weights)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Gradients of a batch, part by part: answer_loss divides by the tokens of the whole, so parts add up to it."""
        self.callback_state.count(inputs)
        parts = micro_batches(inputs, self.micro_batch_tokens)
        losses = [super(AnswerTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        return torch.stack(losses).sum()


class _EpochCallback(TrainerCallback):
    """Shows where training stands, logs it, and keeps the best epoch."""

    def __init__(self, hooks: Hooks, settings: TrainSection, examples: int) -> None:
        self._hooks, self._settings, self._examples = hooks, settings, examples
        self._best: Judgement | None = None
        self.best_epoch = 0
        self.reporters: list[Any] = []
        """the Trainer's own callbacks for MLflow and the like, which hear the epoch's figures too"""
        self._losses: list[tuple[float, int]] = []
        self._seen = self._logged = self._tokens = 0
        self._clock = time.monotonic()
        self._note = ""

    def count(self, inputs: Mapping[str, torch.Tensor]) -> None:
        self._seen += len(inputs["labels"])
        self._tokens += int(inputs["attention_mask"].sum())

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._losses, self._clock, self._logged, self._tokens = [], time.monotonic(), self._seen, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        steps = max(1, state.max_steps // self._settings.epochs)
        epoch = min(self._settings.epochs, (state.global_step - 1) // steps + 1)
        advance(f"epoch {epoch}/{self._settings.epochs}", state.global_step - (epoch - 1) * steps, steps, self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        _need_finite(logs["loss"], f"the loss at step {state.global_step}", self._settings)
        seconds = max(time.monotonic() - self._clock, 1e-9)
        rate = (self._seen - self._logged) / seconds
        self._losses.append((logs["loss"], self._seen - self._logged))
        self._note = f"loss {logs['loss']:.3f} · {rate:.1f} examples/s"
        self._hooks.log(
            {
                "step": state.global_step,
                "epoch": round(state.epoch, 4),
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": float(logs.get("grad_norm", math.nan)),
                "examples_per_second": round(rate, 3),
                "tokens_per_second": round(self._tokens / seconds, 1),
                "peak_memory_bytes": peak_memory(),
            }
        )
        self._clock, self._logged, self._tokens = time.monotonic(), self._seen, 0

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        epoch = round(state.epoch)
        judgement = self._hooks.judge(epoch)
        _need_finite(judgement.loss, f"the validation loss of epoch {epoch}", self._settings)
        model.train()
        better = judgement.better_than(self._best)
        if better:
            self._best, self.best_epoch = judgement, epoch
            self._hooks.keep()
        weight = sum(n for _, n in self._losses)
        loss = sum(loss * n for loss, n in self._losses) / weight if weight else math.nan
        line = {"epoch": epoch, "best": better, "running_loss": loss, "running_perplexity": perplexity(loss)}
        self._hooks.log(line | dict(judgement.figures))
        for callback in self.reporters:
            callback.on_log(args, state, control, logs=dict(judgement.figures), model=model)


def _need_finite(loss: float, what: str, settings: TrainSection) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"train: {what} is {loss}: training has diverged",
            hint=f"Lower train.learning_rate (now {settings.learning_rate:g}), or use model.dtype: float32.",
        )


def _reporters(settings: TrainSection) -> tuple[type[TrainerCallback], ...]:
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    return tuple(get_reporting_integration_callbacks(list(settings.report_to)))  # type: ignore[no-untyped-call]


def _steps(settings: TrainSection, examples: int) -> int:
    batches = math.ceil(examples / settings.batch_size)
    return settings.epochs * math.ceil(batches / settings.gradient_accumulation_steps)


def _warmup(settings: TrainSection, examples: int) -> int:
    """Steps of rising learning rate, fewer than there are steps: the first of them has rate 0."""
    steps = _steps(settings, examples)
    return min(math.ceil(settings.warmup_ratio * steps), steps - 1)


def _arguments(
    loaded: LoadedModel, settings: TrainSection, folder: Path, logging_steps: int, examples: int
) -> TrainingArguments:
    on_cpu = loaded.device.type == "cpu"
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        warmup_steps=_warmup(settings, examples),
        lr_scheduler_type=settings.lr_scheduler_type,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        bf16=not on_cpu and loaded.model.dtype == torch.bfloat16,
        use_cpu=on_cpu,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=min(logging_steps, _steps(settings, examples)),
        logging_nan_inf_filter=False,  # else the Trainer hides a loss that is not a number
        report_to=list(settings.report_to),
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
    )

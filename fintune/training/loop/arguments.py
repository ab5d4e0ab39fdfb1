"""The train section as transformers' TrainingArguments."""

import math
from pathlib import Path

import torch
from transformers import TrainingArguments

from fintune.config.train import TrainSection
from fintune.models import LoadedModel


def arguments(loaded: LoadedModel, settings: TrainSection, folder: Path, examples: int) -> TrainingArguments:
    """Nothing is saved, evaluated or printed by the Trainer on its own: Watch says when."""
    on_cpu = loaded.device.type == "cpu"
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.passes,
        per_device_train_batch_size=settings.examples_a_step,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.peak_learning_rate,
        warmup_steps=_warmup(settings, examples),
        lr_scheduler_type=settings.lr_scheduler_type,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        bf16=not on_cpu and loaded.model.dtype == torch.bfloat16 if settings.bf16 == "auto" else settings.bf16,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        use_cpu=on_cpu,
        torch_compile=settings.compile,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=min(settings.logging_steps, steps(settings, examples)),
        logging_nan_inf_filter=False,  # else the Trainer hides a loss that is not a number
        report_to=[name for name in settings.report_to if name != "tensorboard"],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
    )


def steps(settings: TrainSection, examples: int) -> int:
    """Optimizer steps of the whole training on one device."""
    return settings.passes * steps_an_epoch(settings, examples)


def steps_an_epoch(settings: TrainSection, examples: int) -> int:
    """Optimizer steps of an epoch on one device."""
    batches = math.ceil(examples / settings.examples_a_step)
    return math.ceil(batches / settings.gradient_accumulation_steps)


def _warmup(settings: TrainSection, examples: int) -> int:
    """Return steps of rising learning rate, fewer than there are steps: the first of them has rate 0."""
    whole = steps(settings, examples)
    return min(math.ceil(settings.warmup_ratio * whole), whole - 1)

"""The ways to train that are compared: each takes a loaded model with its adapter and encoded examples, and returns step times."""

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

PAD_TO = 128
"""tokens the worked example pads every text to"""


def worked(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """The worked example's loop: every text padded to 128 tokens, logits of all positions."""
    import torch

    rows = [e.input_ids + e.labels for e in encoded]
    marks = [[-100] * len(e.input_ids) + e.labels for e in encoded]
    pad = loaded.tokenizer.pad_token_id
    optimizer = torch.optim.AdamW([p for p in loaded.model.parameters() if p.requires_grad], lr=1e-3)
    loaded.model.train()
    seconds = []
    for start in range(0, len(rows), batch_size):
        begun, part = time.perf_counter(), slice(start, start + batch_size)
        ids = torch.tensor([row + [pad] * (PAD_TO - len(row)) for row in rows[part]])
        labels = torch.tensor([mark + [-100] * (PAD_TO - len(mark)) for mark in marks[part]])
        loaded.model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begun)
    return seconds


def _ticking() -> tuple[list[float], Any]:
    from transformers import TrainerCallback

    ticks = [time.perf_counter()]

    class Ticks(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ticks.append(time.perf_counter())

    return ticks, Ticks()


def peft_trainer(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """PEFT's layers in transformers' Trainer, padding to the longest text of a batch, as PEFT's examples do."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = [
        {
            "input_ids": e.input_ids + e.labels,
            "labels": [-100] * len(e.input_ids) + e.labels,
            "attention_mask": [1] * len(e.input_ids + e.labels),
        }
        for e in encoded
    ]
    ticks, callback = _ticking()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch_size, num_train_epochs=1, save_strategy="no",
            report_to=[], disable_tqdm=True, use_cpu=True, learning_rate=1e-3, logging_steps=10**6,
        )  # fmt: skip
        Trainer(
            model=loaded.model, args=arguments, train_dataset=rows, callbacks=[callback],
            data_collator=DataCollatorForSeq2Seq(loaded.tokenizer),
        ).train()  # fmt: skip
    return [b - a for a, b in pairwise(ticks)]


def trl_sft(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """TRL's SFTTrainer, loss on the completion alone, padding to the longest text of a batch."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": e.input_ids + e.labels, "completion_mask": [0] * len(e.input_ids) + [1] * len(e.labels)}
        for e in encoded
    ]
    ticks, callback = _ticking()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, per_device_train_batch_size=batch_size, num_train_epochs=1, save_strategy="no",
            report_to=[], disable_tqdm=True, use_cpu=True, learning_rate=1e-3, logging_steps=10**6, max_length=PAD_TO,
            completion_only_loss=True, gradient_checkpointing=False, bf16=False,
        )  # fmt: skip
        SFTTrainer(
            model=loaded.model, args=arguments, train_dataset=Dataset.from_list(rows), callbacks=[callback],
            processing_class=loaded.tokenizer,
        ).train()  # fmt: skip
    return [b - a for a, b in pairwise(ticks)]


def ours(loaded: Any, encoded: Sequence[Any], batch_size: int, *, lean: bool = True) -> list[float]:
    """fintune.training.trainer.train, logging included; with a trunk cache (filled before) where the adapter allows one."""
    import torch

    from fintune.sections import TrainSection
    from fintune.training.trainer import Hooks, Judgement, train
    from fintune.trunk.finding import NoTrunk, find_trunk
    from fintune.trunk.opening import open_cache
    from fintune.trunk.shortcuts import Shortcuts

    rows = torch.tensor(sorted({e.labels[0] for e in encoded}))
    examples = [e.__class__(e.input_ids, e.labels[:1]) for e in encoded]
    settings = TrainSection(epochs=1, batch_size=batch_size, logging_steps=1, lean=lean)
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            cache = open_cache(find_trunk(loaded.model, loaded.kind), loaded, examples, [], settings, Path(folder))
        except NoTrunk:
            cache = None
        hooks = Hooks(
            judge=lambda epoch: Judgement(0.0, 0.0, {}),
            keep=lambda: None,
            log=lambda line: ticks.append(time.perf_counter()) if "step" in line else None,
            shortcuts=Shortcuts(rows=rows, trunk=cache),
        )
        ticks.append(time.perf_counter())
        train(loaded, examples, settings, hooks, folder=Path(folder) / "checkpoints")
    return [b - a for a, b in pairwise(ticks)]


def ours_plain(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """The same with PEFT's own layers."""
    return ours(loaded, encoded, batch_size, lean=False)


SIDES: dict[str, tuple[Callable[..., list[float]], dict[str, Any]]] = {
    "worked example's loop": (worked, {}),
    "PEFT + Trainer": (peft_trainer, {}),
    "TRL SFTTrainer": (trl_sft, {}),
    "ours, PEFT's layers": (ours_plain, {}),
    "ours": (ours, {}),
    "ours, no dropout, PEFT's layers": (ours_plain, {"lora_dropout": 0.0}),
    "ours, no dropout": (ours, {"lora_dropout": 0.0}),
    "ours, top:6 cached": (ours, {"layers": "top:6"}),
    "ours, top:4 cached": (ours, {"layers": "top:4"}),
}
"""name: how it trains, what of the adapter it changes"""

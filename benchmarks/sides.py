"""The ways to train that are compared: each takes a loaded model with its adapter and encoded examples, and returns its steps."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

PAD_TO = 128
"""tokens the worked example pads every text to"""


@dataclass(frozen=True)
class Plan:
    """How all sides train; `alike`: others take the examples in the order given, the rate is constant, nothing is clipped."""

    batch_size: int = 16
    learning_rate: float = 5e-4
    alike: bool = False
    bf16: bool = False


@dataclass(frozen=True)
class Steps:
    """Seconds and loss of each step (nats an answer token)."""

    seconds: list[float]
    losses: list[float]


def worked(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """The worked example's loop: every text padded to 128 tokens, logits of all positions."""
    import torch

    rows = [e.input_ids + e.answer_ids for e in encoded]
    marks = [[-100] * len(e.input_ids) + e.answer_ids for e in encoded]
    pad = loaded.tokenizer.pad_token_id
    trained = [p for p in loaded.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=0.0)
    loaded.model.train()
    seconds, losses = [], []
    for start in range(0, len(rows), plan.batch_size):
        begun, part = time.perf_counter(), slice(start, start + plan.batch_size)
        ids = torch.tensor([row + [pad] * (PAD_TO - len(row)) for row in rows[part]])
        labels = torch.tensor([mark + [-100] * (PAD_TO - len(mark)) for mark in marks[part]])
        loss = loaded.model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
        seconds.append(time.perf_counter() - begun)
    return Steps(seconds, losses)


def peft_trainer(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """PEFT's layers in transformers' Trainer, padding to the longest text of a batch, as PEFT's examples do."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = [
        {
            "input_ids": e.input_ids + e.answer_ids,
            "labels": [-100] * len(e.input_ids) + e.answer_ids,
            "attention_mask": [1] * len(e.input_ids + e.answer_ids),
        }
        for e in encoded
    ]
    note = _noting()
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=loaded.model, args=TrainingArguments(folder, **_arguments(plan)), train_dataset=rows, callbacks=[note],
            data_collator=DataCollatorForSeq2Seq(loaded.tokenizer),
        ).train()  # fmt: skip
    return note.steps()


def peft_trainer_bf16(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """The same in autocast to bfloat16."""
    return peft_trainer(loaded, encoded, replace(plan, bf16=True))


def trl_sft(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """TRL's SFTTrainer, loss on the completion alone, padding to the longest text of a batch."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": e.input_ids + e.answer_ids, "completion_mask": [0] * len(e.input_ids) + [1] * len(e.answer_ids)}
        for e in encoded
    ]
    note = _noting()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            folder, max_length=PAD_TO, completion_only_loss=True, gradient_checkpointing=False, **_arguments(plan)
        )  # fmt: skip
        SFTTrainer(
            model=loaded.model, args=arguments, train_dataset=Dataset.from_list(rows), callbacks=[note],
            processing_class=loaded.tokenizer,
        ).train()  # fmt: skip
    return note.steps()


def ours(loaded: Any, encoded: Sequence[Any], plan: Plan, *, lean: bool = True, objective: str = "tokens") -> Steps:
    """fintune.training.loop.trainer.train, logging included; with a trunk cache (filled before) where the adapter allows one."""
    import torch

    from fintune.config.train import TrainSection
    from fintune.models.shortcuts.shortcuts import Shortcuts
    from fintune.training.loop.trainer import Hooks, Judgment, train

    rows, examples = None, list(encoded)
    if objective == "candidates":
        rows = torch.tensor(sorted({e.answer_ids[0] for e in encoded}))
        examples = [e.__class__(e.input_ids, e.answer_ids[:1]) for e in encoded]
    settings = TrainSection(
        epochs=1, batch_size=plan.batch_size, logging_steps=1, lean=lean, learning_rate=plan.learning_rate,
        **({"lr_scheduler_type": "constant_with_warmup", "warmup_ratio": 0.0, "max_grad_norm": 1e9} if plan.alike else {}),
    )  # fmt: skip
    marks, losses = [], []

    def note(line: Any) -> None:
        if "step" in line:
            marks.append(time.perf_counter())
            losses.append(line["loss"])

    with tempfile.TemporaryDirectory() as folder:
        cache = _trunk(loaded, examples, settings, Path(folder))
        hooks = Hooks(
            judge=lambda epoch: Judgment(0.0, 0.0, {}), keep=lambda: None, log=note, shortcuts=Shortcuts(rows=rows, trunk=cache)
        )  # fmt: skip
        marks.append(time.perf_counter())
        train(loaded, examples, settings, hooks, folder=Path(folder) / "checkpoints")
    return Steps([b - a for a, b in pairwise(marks)], losses)


def _trunk(loaded: Any, examples: Sequence[Any], settings: Any, folder: Path) -> Any:
    from fintune.models.shortcuts.trunk import NoTrunk, find_trunk
    from fintune.training.trunk import open_cache

    try:
        return open_cache(find_trunk(loaded.model, loaded.kind), loaded, examples, [], settings, folder)
    except NoTrunk:
        return None


def _arguments(plan: Plan) -> dict[str, Any]:
    shared = {
        "per_device_train_batch_size": plan.batch_size, "num_train_epochs": 1, "save_strategy": "no", "report_to": [],
        "disable_tqdm": True, "use_cpu": True, "learning_rate": plan.learning_rate, "logging_steps": 1,
        "bf16": plan.bf16,
    }  # fmt: skip
    alike = {"train_sampling_strategy": "sequential", "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
    return shared | (alike if plan.alike else {})


def _noting() -> Any:
    from transformers import TrainerCallback

    class Noting(TrainerCallback):
        """When each step ended, and its loss."""

        def __init__(self) -> None:
            self.marks, self.losses = [time.perf_counter()], []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.marks.append(time.perf_counter())

        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            if logs and "loss" in logs:
                self.losses.append(float(logs["loss"]))

        def steps(self) -> Steps:
            return Steps([b - a for a, b in pairwise(self.marks)], self.losses)

    return Noting()


def ours_plain(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """The same with PEFT's own layers."""
    return ours(loaded, encoded, plan, lean=False)


def ours_candidates(loaded: Any, encoded: Sequence[Any], plan: Plan) -> Steps:
    """The same with the loss among the answers' first tokens alone."""
    return ours(loaded, encoded, plan, objective="candidates")


SIDES: dict[str, tuple[Callable[..., Steps], dict[str, Any]]] = {
    "worked example's loop": (worked, {}),
    "PEFT + Trainer": (peft_trainer, {}),
    "PEFT + Trainer, bf16": (peft_trainer_bf16, {}),
    "TRL SFTTrainer": (trl_sft, {}),
    "ours, PEFT's layers": (ours_plain, {}),
    "ours": (ours, {}),
    "ours, candidates": (ours_candidates, {}),
    "ours, candidates, top:9 cached": (ours_candidates, {"layers": "top:9", "r": 16}),
    "ours, candidates, top:6 cached": (ours_candidates, {"layers": "top:6"}),
    "ours, candidates, top:4 cached": (ours_candidates, {"layers": "top:4"}),
}
"""name: how it trains, what of the adapter it changes"""

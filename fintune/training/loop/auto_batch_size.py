"""`train.batch_size: auto`: the smallest batch that is nearly as fast as the fastest, measured for a few seconds.

A small batch takes more steps through the same examples, so it is preferred where speed does not decide. The answer is remembered for
model, adapter and machine, so that runs agree; a run keeps it in environment.json.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from fintune.config.train import TrainSection
from fintune.methods.lora.fused import fused
from fintune.models import LoadedModel
from fintune.models.batches import collator, micro_batches
from fintune.models.blocks import unwrap
from fintune.models.loss import answer_loss
from fintune.models.shortcuts.shortcuts import Shortcuts
from fintune.records import Encoded
from fintune.runtime.cache import key_of, remembered
from fintune.runtime.environment import arithmetic
from fintune.runtime.progress import tell

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIZES = (8, 16, 32)
_SECONDS = 5.0
"""Time to measure all sizes."""
_NEARLY = 0.95
"""Share of the fastest size's rate that a smaller one must have."""


def resolved(
    loaded: LoadedModel,
    examples: Sequence[Encoded],
    settings: TrainSection,
    method: Mapping[str, object],
    shortcuts: Shortcuts | None = None,
) -> int:
    """Return the batch size of these settings: theirs, or the measured one (with the shortcuts; all blocks are computed)."""
    if settings.batch_size != "auto":
        return settings.batch_size
    facts = [
        min(len(examples), max(SIZES)),
        loaded.sha256,
        dict(method),
        settings.micro_batch_tokens,
        settings.lean,
        settings.bf16,
        settings.gradient_checkpointing,
        getattr(unwrap(loaded.model).config, "quantization_config", None),
        shortcuts is not None and shortcuts.rows is not None,
        arithmetic(),
    ]
    return remembered(
        "batch-sizes.json", key_of(facts), lambda: _measured(loaded, examples, settings, shortcuts or Shortcuts())
    )


def _measured(loaded: LoadedModel, examples: Sequence[Encoded], settings: TrainSection, shortcuts: Shortcuts) -> int:
    ordered = sorted(examples, key=lambda e: len(e.input_ids))
    middle = ordered[max(0, len(ordered) // 2 - max(SIZES) // 2) :]
    sizes = [size for size in SIZES if size <= len(middle)] or [min(SIZES)]
    with fused(loaded, settings.lean), _checkpointing(loaded.model, settings.gradient_checkpointing):
        rates = {size: _rate(loaded, middle[:size], settings, shortcuts, _SECONDS / len(sizes)) for size in sizes}
    best = max(rates.values())
    chosen = min(size for size, rate in rates.items() if rate >= _NEARLY * best)
    tell("train", f"batches of {chosen} are fast enough here")
    return chosen


@contextmanager
def _checkpointing(model: "PreTrainedModel", wanted: bool) -> Iterator[None]:
    """Compute activations again, as the training will."""
    if wanted:
        model.activation_checkpointing_enable({"use_reentrant": False})
    yield
    if wanted:
        model.activation_checkpointing_disable()  # type: ignore[no-untyped-call]


def _rate(
    loaded: LoadedModel, batch: Sequence[Encoded], settings: TrainSection, shortcuts: Shortcuts, seconds: float
) -> float:
    """Return examples a second through forward and backward; parameters and random numbers are left as they were."""
    inputs = {name: tensor.to(loaded.device) for name, tensor in collator(loaded)(batch).items()}
    with torch.random.fork_rng():
        loaded.model.train()
        _gradients(loaded, inputs, settings, shortcuts)
        begun, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - begun < seconds:
            _gradients(loaded, inputs, settings, shortcuts)
            count += len(batch)
        rate = count / (time.perf_counter() - begun)
    loaded.model.zero_grad()
    loaded.model.eval()
    return rate


def _gradients(
    loaded: LoadedModel, inputs: Mapping[str, torch.Tensor], settings: TrainSection, shortcuts: Shortcuts
) -> None:
    on, kind = settings.bf16 is True, loaded.device.type
    for part in micro_batches(inputs, settings.micro_batch_tokens):
        labels, _, shares = part.pop("labels"), part.pop("weights"), part.pop("shares", None)
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=on), shortcuts.taken(loaded.model, part) as wanted:
            loss = answer_loss(loaded.model(**wanted, use_cache=False), labels, rows=shortcuts.rows, shares=shares)
        loss.backward()  # type: ignore[no-untyped-call]

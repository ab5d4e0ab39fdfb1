"""Training that cannot go on says so: numbers that are none, memory that ran out."""

import math
from collections.abc import Sequence

from fintune.config.train import TrainSection
from fintune.errors import BrokenEnvironment, TrainingError
from fintune.runtime.memory import machine_memory, peak_memory

_NAMED = 3


def need_finite(number: float, what: str, settings: TrainSection, rows: Sequence[str] = ()) -> None:
    """Raise TrainingError when a loss or norm has become infinite or no number; `rows` are those it was computed on."""
    if math.isfinite(number):
        return
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    where = f" (rows {', '.join(rows[:_NAMED])}{more})" if rows else ""
    raise TrainingError(
        f"train: {what} is {number}{where}: training has diverged",
        hint=f"Lower train.learning_rate (now {settings.peak_learning_rate:g}), or use model.dtype: float32.",
    )


def out_of_memory(step: int, shape: tuple[int, int], settings: TrainSection) -> BrokenEnvironment:
    """Return the error for a step whose batch `(rows, padded tokens)` did not fit, with the figures to choose a smaller one by."""
    rows, length = shape
    had = machine_memory()
    part = min(settings.micro_batch_tokens, rows * length)
    smaller = max(length, part // 2)
    advice = (
        f"Set train.micro_batch_tokens: {smaller} (now {settings.micro_batch_tokens})"
        if smaller < part
        else "Lower model.max_length, or set train.gradient_checkpointing: true"
    )
    return BrokenEnvironment(
        f"train: out of memory at step {step}: {rows} rows of {length} tokens, in parts of {part} tokens; "
        f"{peak_memory() / 1e9:.1f} GB used of {had / 1e9:.1f} GB",
        hint=f"{advice}, then train again.",
    )

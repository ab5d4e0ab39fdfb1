"""What was trained since the last line of the log: loss, steps, examples, tokens, seconds.

Example:
    meter = Meter()
    meter.count(batch)
    meter.read(step=10, mean_loss=0.5).examples
    # 8
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Stretch:
    """Training since the last line of the log, summed up."""

    loss: float = 0.0
    """The steps' losses, added up."""
    steps: int = 0
    examples: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Stretch") -> "Stretch":
        return Stretch(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Meter:
    """Counts batches between two readings; time in which epochs are judged does not count."""

    def __init__(self) -> None:
        self._step = self._examples = self._tokens = 0
        self._clock = time.monotonic()

    def start(self, step: int) -> None:
        """Begin after a step: 0, or where a resumed training goes on."""
        self._step = step

    def start_epoch(self) -> None:
        """Begin an epoch: judging the one before took time that is not training's."""
        self._clock, self._examples, self._tokens = time.monotonic(), 0, 0

    def count(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Note a batch that is about to be trained on."""
        self._examples += len(inputs["labels"])
        self._tokens += int(inputs["attention_mask"].sum())

    def read(self, step: int, mean_loss: float) -> Stretch:
        """Return what was trained since the last reading, up to a step, and begin anew."""
        steps, now = step - self._step, time.monotonic()
        stretch = Stretch(
            loss=mean_loss * steps,
            steps=steps,
            examples=self._examples,
            tokens=self._tokens,
            seconds=max(now - self._clock, 1e-9),
        )
        self._step, self._clock, self._examples, self._tokens = step, now, 0, 0
        return stretch

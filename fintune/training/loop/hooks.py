"""What training asks of its caller: to judge an epoch, to keep the best parameters, to log, to say whether to stop."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from fintune.methods.protocol import Steps
from fintune.models.shortcuts.shortcuts import Shortcuts


@dataclass(frozen=True)
class Judgment:
    """How good the parameters of an epoch are: the larger (`value`, then the smaller `loss`) the better."""

    value: float
    """The task's first headline metric, with its sign turned where less of it is better."""
    loss: float
    figures: Mapping[str, float]
    """What log.jsonl and the screen show."""
    error: float = 0.0
    """Standard error of `value`: what is within it of the best cannot be told from it."""

    def better_than(self, other: "Judgment | None") -> bool:
        """Return whether it is strictly better, or the first."""
        return other is None or (self.value, -self.loss) > (other.value, -other.loss)

    def within_error_of(self, best: "Judgment") -> bool:
        """Return whether it lies within one standard error of the best (Breiman et al. 1984, 3.4.3)."""
        return self.value > best.value - best.error


@dataclass(frozen=True)
class Hooks:
    """What the caller does for training: `judge` an epoch (its number from 1), `keep` the current parameters, `log` a line.

    `rewind` forgets all but the first lines logged: a resumed run logs the others again. `should_stop` is asked after
    every step; training then saves and ends. Judging, before which everything is saved, happens inside `interruptible`.
    `shortcuts` is what training need not compute.
    """

    judge: Callable[[int], Judgment]
    keep: Callable[[], None]
    log: Callable[[Mapping[str, object]], None]
    rewind: Callable[[int], None] = lambda lines: None
    should_stop: Callable[[], bool] = lambda: False
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
    shortcuts: Shortcuts = field(default_factory=Shortcuts)
    rates: Mapping[str, float] = field(default_factory=dict)
    """A factor on the learning rate of parameters whose name holds the key."""
    steps: Steps | None = None
    """What the method does at every step."""
    guessing: float = math.inf
    """Loss an answer token of knowing how often each label occurs and nothing else."""

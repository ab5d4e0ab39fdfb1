"""What a run would take, before it is made: memory and time, from ten steps on the user's own data and machine.

Example:
    estimate = plan("run.yaml")
    round(estimate.seconds / 60), round(estimate.peak / 1e9, 1)
    # (12, 3.6)
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fintune.config.load import ConfigSource, load
from fintune.config.prepare import Prepared, prepare
from fintune.config.run_config import RunConfig
from fintune.config.train import TrainSection
from fintune.errors import BrokenEnvironment
from fintune.inference.load import load_base, shortcuts_of
from fintune.runtime.environment import deterministic
from fintune.runtime.progress import tell
from fintune.runtime.threads import fastest_threads
from fintune.tasks.baselines import BASELINES
from fintune.training.build import attached, judged_of_train, try_method
from fintune.training.encode import encode
from fintune.training.measure import MEASURED_STEPS, Measured, measure

if TYPE_CHECKING:
    from fintune.models import LoadedModel

_BESIDE = 3 * 4
"""Bytes a trainable parameter needs beside itself: its gradient and AdamW's two moments, in float32."""


@dataclass(frozen=True)
class Estimate:
    """Bytes and seconds; `memory` adds up to `peak`."""

    steps: int
    """Steps of the whole training."""
    measured: int
    """Steps it was measured on."""
    step_seconds: float
    memory: Mapping[str, int]
    machine: int
    """Bytes of memory the machine has."""
    times: Mapping[str, float]
    """Seconds by stage: reading data and loading weights, states of the trunk, training, judging after every epoch, scoring at the end."""

    @property
    def peak(self) -> int:
        """The largest need of memory, in bytes."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether the machine has that much."""
        return self.peak <= self.machine

    @property
    def seconds(self) -> float:
        """The time from the command to the scores."""
        return sum(self.times.values())

    def record(self) -> dict[str, object]:
        """Return the estimate as JSON, for programs."""
        return {
            "steps": self.steps,
            "measured_steps": self.measured,
            "seconds_per_step": self.step_seconds,
            "seconds": dict(self.times) | {"all": self.seconds},
            "bytes": dict(self.memory) | {"peak": self.peak, "machine": self.machine},
        }


def plan(source: ConfigSource, overrides: Sequence[str] = ()) -> Estimate:
    """Measure ten steps and the longest batch; nothing is kept. Python's own start is not counted.

    Raises BrokenEnvironment when the weights alone do not fit.
    """
    from fintune.runtime.memory import machine_memory, resident_memory
    from fintune.training.loop.auto_batch_size import resolved

    begun = time.monotonic()
    prepared = prepare(load(source, overrides))
    config = prepared.config
    with deterministic(config.train.fixed_threads or fastest_threads()):
        program = resident_memory()
        _need_room(config)
        try_method(config)
        base = load_base(config)
        encoded = encode(prepared, base)
        loaded = time.monotonic() - begun
        tuned = attached(config, base, encoded)
        size = resolved(tuned, encoded, config.train, config.method.model_dump(), shortcuts_of(config, tuned))
        config = config.with_(train__batch_size=size)
        prepared = replace(prepared, config=config)
        tell("plan", f"measuring {MEASURED_STEPS} steps, and the batch that needs most memory")
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(prepared, tuned, encoded, Path(folder))
    return Estimate(
        steps=_steps(config.train, len(encoded)),
        measured=measured.steps,
        step_seconds=measured.step,
        memory=_memory(tuned, program),
        machine=machine_memory(),
        times=_times(prepared, loaded, measured, len(encoded)),
    )


def _need_room(config: RunConfig) -> None:
    """Refuse weights that this machine cannot hold, before it tries to."""
    from fintune.models.devices import find_device, find_dtype
    from fintune.models.quantization import bytes_a_weight
    from fintune.models.references import weight_count
    from fintune.runtime.memory import machine_memory

    dtype = find_dtype(config.model.dtype, find_device(config.model.device))
    each = bytes_a_weight(config.model.quantization, dtype)
    needed, available = (weight_count(config.model.base) or 0) * each, machine_memory()
    if needed > available:
        raise BrokenEnvironment(
            f"model.base: the weights take {needed / 1e9:.1f} GB, and there are {available / 1e9:.1f} GB",
            hint="Use model.dtype: bfloat16, a smaller model, or a larger machine.",
        )


def _times(prepared: Prepared, loaded: float, measured: Measured, examples: int) -> dict[str, float]:
    settings, evaluation = prepared.config.train, prepared.config.evaluation
    validation, test = len(prepared.splits["validation"]), len(prepared.splits["test"])
    judged = validation + judged_of_train(len(prepared.splits["train"]), validation)
    scored = validation + (test if evaluation.test else 0)
    asking = sum(BASELINES[name].needs_model for name in evaluation.baselines)
    scored += asking * (test if evaluation.test else validation)
    whole = 1 + (settings.passes - 1) * settings.hard_example_ratio
    once = {"trunk": measured.trunk * (examples + validation) / examples} if measured.trunk else {}
    return {
        "start": loaded,
        **once,
        "train": measured.step * _steps(settings, examples) * whole / settings.passes,
        "judge epochs": measured.judge * judged * settings.passes,
        "score": (measured.score or measured.judge) * scored,
    }


def _memory(tuned: "LoadedModel", program: int) -> dict[str, int]:
    """Return the measured peak, and what it is made of as far as that can be counted."""
    from fintune.runtime.memory import on_gpu, peak_memory

    weights = sum(p.numel() * p.element_size() for p in tuned.model.parameters())
    trainable, _ = tuned.parameters()
    counted = {
        "program": 0 if on_gpu() else program,
        "weights": weights,
        "gradients and optimizer": _BESIDE * trainable,
    }
    return counted | {"activations": max(0, peak_memory() - sum(counted.values()))}


def _steps(settings: TrainSection, examples: int) -> int:
    from fintune.training.loop.arguments import steps

    return steps(settings, examples)

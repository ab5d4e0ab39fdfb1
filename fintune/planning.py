"""What a run would take, before it is made: memory and time, from ten steps on the user's own data and machine.

>>> found = plan("run.yaml")
>>> round(found.seconds / 60), round(found.peak / 1e9, 1)
(12, 3.6)
"""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.config import load
from fintune.environment import deterministic
from fintune.errors import BrokenEnvironment
from fintune.pipeline import attached, engine, load_base
from fintune.preparation import Prepared, encode, prepare
from fintune.progress import tell
from fintune.records import Encoded
from fintune.sections import RunConfig, TrainSection

if TYPE_CHECKING:
    from fintune.models import LoadedModel
    from fintune.training.hooks import Hooks

STEPS = 10
_SCORED = 64
"""texts scored to learn how long a text takes"""
_BESIDE = 3 * 4
"""bytes a trainable parameter needs beside itself: its gradient and AdamW's two moments, in float32"""


@dataclass(frozen=True)
class Estimate:
    """Bytes and seconds; `memory` adds up to `peak`."""

    steps: int
    """of the whole training"""
    measured: int
    """steps it was measured on"""
    step_seconds: float
    memory: Mapping[str, int]
    machine: int
    """memory there is"""
    times: Mapping[str, float]
    """reading data and loading weights, training, judging after every epoch, scoring at the end"""

    @property
    def peak(self) -> int:
        """Largest need of memory."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether the machine has that much."""
        return self.peak <= self.machine

    @property
    def seconds(self) -> float:
        """From the command to the scores."""
        return sum(self.times.values())

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "steps": self.steps,
            "measured_steps": self.measured,
            "seconds_per_step": self.step_seconds,
            "seconds": dict(self.times) | {"all": self.seconds},
            "bytes": dict(self.memory) | {"peak": self.peak, "machine": self.machine},
        }


def plan(source: str | Path | Mapping[str, Any] | RunConfig, overrides: Sequence[str] = ()) -> Estimate:
    """Measure ten steps and the longest batch; nothing is kept. Python's own start is not counted.

    Raises BrokenEnvironment when the weights alone do not fit.
    """
    from fintune.training.memory import machine_memory, resident_memory

    begun = time.monotonic()
    prepared = prepare(load(source, overrides))
    config = prepared.config
    with deterministic(config.train.fixed_threads):
        program = resident_memory()
        _need_room(config)
        base = load_base(config)
        encoded = encode(prepared, base)
        loaded = time.monotonic() - begun
        tuned = attached(config, base, encoded)
        tell("plan", f"measuring {STEPS} steps, and the batch that needs most memory")
        step_seconds, measured = _measure(tuned, encoded, config.train)
        each = _seconds_a_text(prepared, tuned)
    return Estimate(
        steps=_steps(config.train, len(encoded)),
        measured=measured,
        step_seconds=step_seconds,
        memory=_memory(tuned, program),
        machine=machine_memory(),
        times=_times(prepared, loaded, step_seconds, each, len(encoded)),
    )


def _need_room(config: RunConfig) -> None:
    """Refuse weights that this machine cannot hold, before it tries to."""
    from fintune.models.references import find_device, find_dtype, weight_count
    from fintune.training.memory import machine_memory

    dtype = find_dtype(config.model.dtype, find_device(config.model.device))
    needed, there = (weight_count(config.model.base) or 0) * dtype.itemsize, machine_memory()
    if needed > there:
        raise BrokenEnvironment(
            f"model.base: the weights take {needed / 1e9:.1f} GB, and there are {there / 1e9:.1f} GB",
            hint="Use model.dtype: bfloat16, a smaller model, or a larger machine.",
        )


def _measure(tuned: "LoadedModel", encoded: Sequence[Encoded], settings: TrainSection) -> tuple[float, int]:
    """Seconds a step of the whole training takes on average, and the steps that were measured, the first one apart."""
    import torch

    _train_on(tuned, _longest(encoded, settings), settings, steps=1)
    with torch.random.fork_rng(devices=[]):
        lines = _train_on(tuned, encoded, settings, steps=STEPS + 1)
    tokens = [line["tokens_per_second"] / line["examples_per_second"] * line["examples"] for line in lines]
    seconds = [line["examples"] / line["examples_per_second"] for line in lines]
    pace = sum(seconds[1:]) / sum(tokens[1:]) if len(lines) > 1 else seconds[0] / tokens[0]
    whole = sum(len(e.input_ids) + len(e.labels) - 1 for e in encoded)
    return pace * whole / (_steps(settings, len(encoded)) / settings.epochs), max(1, len(lines) - 1)


def _train_on(
    tuned: "LoadedModel", examples: Sequence[Encoded], settings: TrainSection, *, steps: int
) -> list[dict[str, Any]]:
    """Log lines of the first steps of a training on these examples."""
    from fintune.training.trainer import train

    lines: list[dict[str, Any]] = []
    once = settings.model_copy(update={"save_steps": 0, "logging_steps": 1, "report_to": []})
    with tempfile.TemporaryDirectory() as folder:
        train(tuned, examples, once, _hooks(lines, steps), folder=Path(folder) / "checkpoints")
    return [line for line in lines if "step" in line]


def _hooks(lines: list[dict[str, Any]], steps: int) -> "Hooks":
    from fintune.training.hooks import Hooks, Judgement

    def stop() -> bool:
        done.append(1)
        return len(done) >= steps

    done: list[int] = []
    return Hooks(
        judge=lambda epoch: Judgement(0.0, 0.0, {}),
        keep=lambda: None,
        log=lambda line: lines.append(dict(line)),
        should_stop=stop,
    )


def _longest(encoded: Sequence[Encoded], settings: TrainSection) -> list[Encoded]:
    """The examples that would make the largest part of a batch: the longest ones, of one length when padded."""
    ordered = sorted(encoded, key=lambda e: -(len(e.input_ids) + len(e.labels)))
    candidates = [ordered[i : i + settings.batch_size] for i in range(0, len(ordered), settings.batch_size)]
    return max(candidates, key=lambda batch: _largest_part(batch, settings))


def _largest_part(batch: Sequence[Encoded], settings: TrainSection) -> int:
    """Padded tokens of the largest part `micro_batches` makes."""
    length = max(len(e.input_ids) + len(e.labels) - 1 for e in batch)
    parts = math.ceil(len(batch) / max(1, settings.micro_batch_tokens // length))
    return length * math.ceil(len(batch) / parts)


def _seconds_a_text(prepared: Prepared, tuned: "LoadedModel") -> float:
    """Time to score a text of the validation part."""
    texts = [example.text for example in prepared.splits["validation"]]
    chosen = texts[:: max(1, len(texts) // _SCORED)][:_SCORED]
    running, prompts = engine(prepared.config, tuned), [prepared.task.prompt(text) for text in chosen]
    tuned.model.eval()
    running.rank(prompts[:1], prepared.task.candidates())
    begun = time.monotonic()
    running.rank(prompts, prepared.task.candidates(), stage="score")
    return (time.monotonic() - begun) / len(chosen)


def _times(prepared: Prepared, loaded: float, step_seconds: float, each: float, examples: int) -> dict[str, float]:
    settings, evaluation = prepared.config.train, prepared.config.evaluation
    validation, test = len(prepared.splits["validation"]), len(prepared.splits["test"])
    judged = validation + min(validation, len(prepared.splits["train"]))
    scored = validation + (test if evaluation.test else 0)
    if "zero-shot" in evaluation.baselines:
        scored += test if evaluation.test else validation
    return {
        "start": loaded,
        "train": step_seconds * _steps(settings, examples),
        "judge epochs": each * judged * settings.epochs,
        "score": each * scored,
    }


def _memory(tuned: "LoadedModel", program: int) -> dict[str, int]:
    """The measured peak, and what it is made of as far as that can be counted."""
    from fintune.training.memory import on_gpu, peak_memory

    weights = sum(p.numel() * p.element_size() for p in tuned.model.parameters())
    trainable, _ = tuned.parameters()
    counted = {
        "program": 0 if on_gpu() else program,
        "weights": weights,
        "gradients and optimizer": _BESIDE * trainable,
    }
    return counted | {"activations": max(0, peak_memory() - sum(counted.values()))}


def _steps(settings: TrainSection, examples: int) -> int:
    from fintune.training.arguments import steps

    return steps(settings, examples)

"""A little of everything a run does, on the user's own data and machine: what `fintune plan` reckons with."""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fintune.config.prepare import Prepared
from fintune.config.train import TrainSection
from fintune.inference.answer import predict
from fintune.inference.load import engine, shortcuts_of
from fintune.records import Encoded
from fintune.runs.schema import LogLine
from fintune.training.build import StepWork, trunk_cache, work_of_steps

if TYPE_CHECKING:
    from fintune.models import LoadedModel
    from fintune.models.shortcuts.shortcuts import Shortcuts
    from fintune.training.loop.hooks import Hooks

MEASURED_STEPS = 10
_SCORED = 64
"""Texts scored to learn how long a text takes."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds: of a step, of a text when an epoch is judged, of a text scored at the end, of all states of the trunk."""

    steps: int
    step: float
    judge: float
    score: float
    trunk: float


def measure(prepared: Prepared, tuned: "LoadedModel", encoded: Sequence[Encoded], folder: Path) -> Measured:
    """Run a little of everything: some texts' trunk states, the longest batch, ten steps, some texts to score."""
    config = prepared.config
    few = _few_to_judge(prepared)
    chosen = np.random.default_rng(0).permutation(len(encoded))[: (MEASURED_STEPS + 1) * config.train.examples_a_step]
    longest, usual = _longest(encoded, config.train), [encoded[i] for i in chosen]
    begun = time.monotonic()
    cache = trunk_cache(few, tuned, [*longest, *usual], folder)
    trunk = (time.monotonic() - begun) / (len(usual) + len(longest)) * len(encoded) if cache else 0.0
    shortcuts, whole = shortcuts_of(config, tuned, cache), shortcuts_of(config, tuned)
    work = work_of_steps(config, tuned)
    _train_on(tuned, longest, config.train, work, shortcuts, steps=1)
    lines = _train_on(tuned, usual, config.train, work, shortcuts, steps=MEASURED_STEPS + 1)
    return Measured(
        steps=max(1, len(lines) - 1),
        step=_step_seconds(lines, encoded, config.train),
        judge=_seconds_a_text(few, tuned, shortcuts),
        score=_seconds_a_text(few, tuned, whole) if cache else 0.0,
        trunk=trunk,
    )


def _few_to_judge(prepared: Prepared) -> Prepared:
    """Return the same with a validation part of some dozen texts."""
    texts = prepared.splits["validation"]
    parts = dict(prepared.splits.parts) | {"validation": texts[:: max(1, len(texts) // _SCORED)][:_SCORED]}
    return replace(prepared, splits=replace(prepared.splits, parts=parts))


def _step_seconds(lines: Sequence[LogLine], encoded: Sequence[Encoded], settings: TrainSection) -> float:
    """Return what a step of the whole training takes on average, the first one measured left out."""
    tokens = [line["tokens_per_second"] / line["examples_per_second"] * line["examples"] for line in lines]
    seconds = [line["examples"] / line["examples_per_second"] for line in lines]
    pace: float = sum(seconds[1:]) / sum(tokens[1:]) if len(lines) > 1 else seconds[0] / tokens[0]
    from fintune.training.loop.arguments import steps

    whole = sum(len(e.input_ids) + len(e.answer_ids) - 1 for e in encoded)
    return pace * whole / (steps(settings, len(encoded)) / settings.passes)


def _train_on(
    tuned: "LoadedModel",
    examples: Sequence[Encoded],
    settings: TrainSection,
    work: StepWork,
    shortcuts: "Shortcuts",
    *,
    steps: int,
) -> list[LogLine]:
    """Return log lines of the first steps of a training on these examples."""
    from fintune.training.loop.trainer import train

    lines: list[LogLine] = []
    once = settings.model_copy(update={"save_steps": 0, "logging_steps": 1, "report_to": []})
    with tempfile.TemporaryDirectory() as folder:
        hooks = replace(_hooks(lines, steps), shortcuts=shortcuts, **work)
        train(tuned, examples, once, hooks, folder=Path(folder) / "checkpoints")
    return [line for line in lines if "step" in line]


def _hooks(lines: list[LogLine], steps: int) -> "Hooks":
    from fintune.training.loop.hooks import Hooks, Judgment

    def stop() -> bool:
        done.append(1)
        return len(done) >= steps

    done: list[int] = []
    return Hooks(
        judge=lambda epoch: Judgment(0.0, 0.0, {}),
        keep=lambda: None,
        log=lambda line: lines.append(cast("LogLine", line)),
        should_stop=stop,
    )


def _longest(encoded: Sequence[Encoded], settings: TrainSection) -> list[Encoded]:
    """Return the examples that would make the largest part of a batch: the longest ones, of one length when padded."""
    ordered = sorted(encoded, key=lambda e: -(len(e.input_ids) + len(e.answer_ids)))
    candidates = [ordered[i : i + settings.examples_a_step] for i in range(0, len(ordered), settings.examples_a_step)]
    return max(candidates, key=lambda batch: _largest_part(batch, settings))


def _largest_part(batch: Sequence[Encoded], settings: TrainSection) -> int:
    """Return padded tokens of the largest part `micro_batches` makes."""
    length = max(len(e.input_ids) + len(e.answer_ids) - 1 for e in batch)
    parts = math.ceil(len(batch) / max(1, settings.micro_batch_tokens // length))
    return length * math.ceil(len(batch) / parts)


def _seconds_a_text(prepared: Prepared, tuned: "LoadedModel", shortcuts: "Shortcuts") -> float:
    """Return the time to score a text of the validation part."""
    examples, running = prepared.splits["validation"], engine(prepared.config, tuned, shortcuts)
    tuned.model.eval()
    predict(running, prepared.task, examples[:1], stage="score")
    begun = time.monotonic()
    predict(running, prepared.task, examples, stage="score")
    return (time.monotonic() - begun) / len(examples)

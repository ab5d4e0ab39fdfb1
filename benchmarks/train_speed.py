"""Examples per second and peak memory of our training step against the worked example's loop, alternating in one call.

The worked example pads every text to 128 tokens and computes logits at every position; model, adapter (LoRA r 8 on all linear
layers), texts and machine are the same. Each side runs in a process of its own, so that peak memory is its own.

    python benchmarks/train_speed.py --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

SIDES = {"worked example, batch 8": ("worked", 8), "ours, batch 8": ("ours", 8), "ours, batch 16": ("ours", 16)}


def worked(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """Seconds of each step of the worked example's loop."""
    import torch

    rows = [e.input_ids + e.labels for e in encoded]
    marks = [[-100] * len(e.input_ids) + e.labels for e in encoded]
    pad = loaded.tokenizer.pad_token_id
    optimizer = torch.optim.AdamW([p for p in loaded.model.parameters() if p.requires_grad], lr=1e-3)
    loaded.model.train()
    seconds = []
    for start in range(0, len(rows), batch_size):
        begun, part = time.perf_counter(), slice(start, start + batch_size)
        ids = torch.tensor([row + [pad] * (128 - len(row)) for row in rows[part]])
        labels = torch.tensor([mark + [-100] * (128 - len(mark)) for mark in marks[part]])
        loss = loaded.model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begun)
    return seconds


def ours(loaded: Any, encoded: Sequence[Any], batch_size: int) -> list[float]:
    """Seconds of each step of fintune.training.trainer.train, logging included."""
    from fintune.sections import TrainSection
    from fintune.training.trainer import Hooks, Judgement, train

    ticks: list[float] = [time.perf_counter()]
    hooks = Hooks(
        judge=lambda epoch: Judgement(0.0, 0.0, {}),
        keep=lambda: None,
        log=lambda line: ticks.append(time.perf_counter()) if "step" in line else None,
    )
    settings = TrainSection(epochs=1, batch_size=batch_size, logging_steps=1)
    with tempfile.TemporaryDirectory() as folder:
        train(loaded, encoded, settings, hooks, folder=Path(folder))
    return [b - a for a, b in pairwise(ticks)]


def child(kind: str, batch_size: int, steps: int, data: str, base: str) -> None:
    """Run one side and print its figures as JSON."""
    from dataclasses import replace

    import numpy as np
    from transformers import set_seed

    from fintune.config import load
    from fintune.methods import METHODS
    from fintune.models import load_model
    from fintune.preparation import encode, prepare
    from fintune.training.memory import peak_memory

    config = load({"model": {"base": base, "max_length": 128}, "data": {"path": data}})
    prepared, loaded = prepare(config), load_model(base)
    encoded = encode(prepared, loaded)
    chosen = np.random.default_rng(0).permutation(len(encoded))[: batch_size * steps]
    set_seed(0)
    tuned = replace(loaded, model=METHODS["lora"].attach(loaded.model, config.method, loaded.kind))
    seconds = {"worked": worked, "ours": ours}[kind](tuned, [encoded[i] for i in chosen], batch_size)
    print(json.dumps({"rate": batch_size / statistics.mean(seconds[1:]), "memory": peak_memory()}))


def main() -> None:
    """Alternate the sides and print rates, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12, help="of our sides; the worked example runs a quarter")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        child(arguments.side[0], int(arguments.side[1]), arguments.steps, arguments.data, arguments.base)
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(arguments.rounds):
        for name, (kind, batch_size) in SIDES.items():
            steps = max(3, arguments.steps // 4) if kind == "worked" else arguments.steps
            command = [sys.executable, __file__, "--side", kind, str(batch_size), "--steps", str(steps)]
            done = subprocess.run(
                [*command, "--data", arguments.data, "--base", arguments.base],
                capture_output=True,
                text=True,
                check=True,
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(
                f"{name:<26}{found[name][-1]['rate']:6.2f} examples/s  {found[name][-1]['memory'] / 1e9:5.1f} GB",
                flush=True,
            )
    base = statistics.mean(r["rate"] for r in found["worked example, batch 8"])
    for name, results in found.items():
        rates = [r["rate"] for r in results]
        mean = statistics.mean(rates)
        print(f"{name:<26}mean {mean:6.2f} [{min(rates):.2f}, {max(rates):.2f}]  ratio {mean / base:5.1f}x")


if __name__ == "__main__":
    main()

"""Examples per second and peak memory of training, ours beside others, alternating in one call; then whether all learn the same.

Model, adapter (LoRA r 8, dropout 0.1, all linear layers, unless a side says otherwise), texts and machine are the same. Each side
runs in a process of its own, so that peak memory is its own; a side whose package is not installed is left out and named. With
--curves the sides see the same batches in the same order without dropout at a constant rate, and their losses are compared.

    python -m benchmarks.train_speed --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.sides import SIDES, Plan

CURVES = ("worked example's loop", "PEFT + Trainer", "TRL SFTTrainer", "ours, PEFT's layers", "ours")
"""sides with one adapter and one objective"""


def child(side: str, batch_size: int, steps: int, data: str, base: str, *, alike: bool) -> None:
    """Run one side and print its figures as JSON."""
    from dataclasses import replace

    import numpy as np
    from transformers import set_seed

    from fintune.config.load import load
    from fintune.config.prepare import prepare
    from fintune.methods import METHODS
    from fintune.models import load_model
    from fintune.runtime.memory import peak_memory
    from fintune.training.encode import encode
    from fintune.training.loop.sampler import BucketSampler

    train, changes = SIDES[side]
    config = load({"model": {"base": base, "max_length": 128}, "data": {"path": data}})
    prepared, loaded = prepare(config), load_model(base)
    encoded = encode(prepared, loaded)
    encoded = [encoded[i] for i in np.random.default_rng(0).permutation(len(encoded))[: batch_size * steps]]
    if alike and not side.startswith("ours"):
        lengths = [len(e.input_ids) + len(e.answer_ids) for e in encoded]
        encoded = [encoded[i] for batch in BucketSampler(lengths, batch_size, seed=0) for i in batch]
    set_seed(0)
    options = config.method.model_copy(update=changes | ({"lora_dropout": 0.0} if alike else {}))
    tuned = replace(loaded, model=METHODS["lora"].attach(loaded.model, options, loaded.kind))
    done = train(tuned, encoded, Plan(batch_size, alike=alike))
    rate = batch_size / statistics.mean(done.seconds[1:])
    print(json.dumps({"rate": rate, "memory": peak_memory(), "losses": done.losses}))


def measure(side: str, batch_size: int, steps: int, data: str, base: str, *more: str) -> dict[str, Any]:
    """One side in a process of its own."""
    options = ["--side", side, "--batch", str(batch_size), "--steps", str(steps), "--data", data, "--base", base]
    command = [sys.executable, "-m", "benchmarks.train_speed", *options, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_llama_factory(python: str, batch_size: int, steps: int, data: str, base: str) -> dict[str, Any]:
    """LLaMA-Factory on the same prompts and answers, by the Python of its own environment."""
    import numpy as np

    from fintune.config.load import load
    from fintune.config.prepare import prepare
    from fintune.models import load_model

    prepared, where = (
        prepare(load({"model": {"base": base}, "data": {"path": data}})),
        load_model(base).model.name_or_path,
    )
    examples = prepared.splits["train"]
    chosen = np.random.default_rng(0).permutation(len(examples))[: batch_size * steps]
    rows = [
        {
            "instruction": str(prepared.task.prompt(examples[i])),
            "input": "",
            "output": prepared.task.target(examples[i]),
        }
        for i in chosen
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts.json").write_text(json.dumps(rows))
        script = str(Path(__file__).with_name("llama_factory.py"))
        command = [python, script, folder, str(where), str(batch_size), str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"LLaMA-Factory: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare_losses(sides: list[str], batch: int, steps: int, data: str, base: str) -> None:
    """Print each side's loss of each step, and how far it is from the first side's at most."""
    first: list[float] = []
    for side in sides:
        losses = measure(side, batch, steps, data, base, "--curves")["losses"]
        first = first or losses
        apart = max(abs(a - b) for a, b in zip(losses, first, strict=True))
        print(f"{side:<34}{' '.join(f'{loss:.4f}' for loss in losses)}  apart at most {apart:.1e}", flush=True)


def main() -> None:
    """Alternate the sides and print rates, memory and ratios to the first one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=24, help="of the faster sides; others run a quarter of them")
    parser.add_argument("--sides", nargs="+", default=list(SIDES))
    parser.add_argument("--curves", action="store_true", help="compare losses, not speed")
    parser.add_argument("--llama-factory", help="the Python of an environment with LLaMA-Factory, another side")
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = str(Path(arguments.data).resolve()) if Path(arguments.data).exists() else arguments.data
    if arguments.side:
        child(arguments.side, arguments.batch, arguments.steps, data, arguments.base, alike=arguments.curves)
        return
    sides = [side for side in arguments.sides if side != "TRL SFTTrainer" or find_spec("trl")]
    for side in set(arguments.sides) - set(sides):
        print(f"{side}: not installed, left out")
    if arguments.curves:
        compare_losses([s for s in sides if s in CURVES], arguments.batch, arguments.steps, data, arguments.base)
        return
    if arguments.llama_factory:
        sides.insert(min(3, len(sides)), "LLaMA-Factory")
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side in sides:
            batch = 8 if side.startswith("worked") else arguments.batch
            steps = arguments.steps if side.startswith("ours") else max(4, arguments.steps // 4)
            if side == "LLaMA-Factory":
                found[side].append(measure_llama_factory(arguments.llama_factory, batch, steps, data, arguments.base))
            else:
                found[side].append(measure(side, batch, steps, data, arguments.base))
            last = found[side][-1]
            print(f"{side:<34}{last['rate']:6.2f} examples/s  {last['memory'] / 1e9:5.1f} GB", flush=True)
    first = statistics.mean(r["rate"] for r in found[sides[0]])
    for side, results in found.items():
        rates = [r["rate"] for r in results]
        mean = statistics.mean(rates)
        print(f"{side:<34}mean {mean:6.2f} [{min(rates):.2f}, {max(rates):.2f}]  ratio {mean / first:5.1f}x")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

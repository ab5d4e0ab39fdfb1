"""Examples per second and peak memory of training, ours beside others, alternating in one call.

Model, adapter (LoRA r 8, dropout 0.1, all linear layers, unless a side says otherwise), texts and machine are the same. Each side
runs in a process of its own, so that peak memory is its own; a side whose package is not installed is left out and named.

    python -m benchmarks.train_speed --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
"""

import argparse
import json
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sides import SIDES


def child(side: str, batch_size: int, steps: int, data: str, base: str) -> None:
    """Run one side and print its figures as JSON."""
    from dataclasses import replace

    import numpy as np
    from transformers import set_seed

    from fintune.config import load
    from fintune.methods import METHODS
    from fintune.models import load_model
    from fintune.preparation import encode, prepare
    from fintune.training.memory import peak_memory

    train, changes = SIDES[side]
    config = load(
        {"model": {"base": base, "max_length": 128}, "data": {"path": data}, "train": {"objective": "tokens"}}
    )
    prepared, loaded = prepare(config), load_model(base)
    encoded = encode(prepared, loaded)
    chosen = np.random.default_rng(0).permutation(len(encoded))[: batch_size * steps]
    set_seed(0)
    options = config.method.model_copy(update=changes)
    tuned = replace(loaded, model=METHODS["lora"].attach(loaded.model, options, loaded.kind))
    seconds = train(tuned, [encoded[i] for i in chosen], batch_size)
    print(json.dumps({"rate": batch_size / statistics.mean(seconds[1:]), "memory": peak_memory()}))


def measure(side: str, batch_size: int, steps: int, data: str, base: str) -> dict[str, float]:
    """One side in a process of its own."""
    options = ["--side", side, "--batch", str(batch_size), "--steps", str(steps), "--data", data, "--base", base]
    command = [sys.executable, "-m", "benchmarks.train_speed", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Alternate the sides and print rates, memory and ratios to the first one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10, help="of the faster sides; others run fewer on as many texts")
    parser.add_argument("--sides", nargs="+", default=list(SIDES))
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = str(Path(arguments.data).resolve()) if Path(arguments.data).exists() else arguments.data
    if arguments.side:
        child(arguments.side, arguments.batch, arguments.steps, data, arguments.base)
        return
    sides = [side for side in arguments.sides if side != "TRL SFTTrainer" or find_spec("trl")]
    for side in set(arguments.sides) - set(sides):
        print(f"{side}: not installed, left out")
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side in sides:
            batch = 8 if side.startswith("worked") else arguments.batch
            steps = arguments.steps if side.startswith("ours") else max(4, arguments.steps // 3)
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

"""LoRA layers as FinTune computes them against PEFT's own, step by step in turns in one process, on the same batches.

Both copies train from the same start; without dropout their losses must stay together. Memory of the two adds up.

    python -m benchmarks.fused_layers --steps 20
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def step(model: Any, batch: Any, optimizer: Any) -> tuple[float, float]:
    """Seconds and loss of one step: forward, backward, AdamW."""
    from fintune.models.loss import answer_loss
    from fintune.models.shortcuts.shortcuts import Shortcuts

    begun = time.perf_counter()
    given = {name: tensor for name, tensor in batch.items() if name not in ("labels", "weights")}
    with Shortcuts().taken(model, given) as wanted:
        loss = answer_loss(model(**wanted, use_cache=False), batch["labels"])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - begun, float(loss)


def compare(dropout: float, steps: int, data: str, base: str) -> dict[str, Any]:
    """Alternate the two for so many batches of 16; the first two steps of each are left out of the times."""
    import numpy as np
    import torch
    from transformers import set_seed

    from fintune.config.load import load
    from fintune.config.prepare import prepare
    from fintune.methods import METHODS
    from fintune.methods.lora.fused import fused
    from fintune.models import load_model
    from fintune.models.batches import collator
    from fintune.training.encode import encode

    config = load({"model": {"base": base, "max_length": 128}, "data": {"path": data}})
    prepared = prepare(config)
    tuned = []
    for _ in range(2):
        loaded = load_model(base)
        set_seed(0)
        options = config.method.model_copy(update={"lora_dropout": dropout})
        tuned.append(replace(loaded, model=METHODS["lora"].attach(loaded.model, options, loaded.kind)))
        tuned[-1].model.train()
    optimizers = [torch.optim.AdamW([p for p in t.model.parameters() if p.requires_grad], lr=5e-4) for t in tuned]
    encoded = sorted(encode(prepared, tuned[0]), key=lambda e: len(e.input_ids))
    order = np.random.default_rng(0).permutation(len(encoded) // 16)[:steps]
    times: list[list[float]] = [[], []]
    losses: list[list[float]] = [[], []]
    with fused(tuned[1], config.train.lean):
        for turn, number in enumerate(order):
            batch = collator(tuned[0])(encoded[16 * number : 16 * number + 16])
            for side in (0, 1) if turn % 2 else (1, 0):
                took, loss = step(tuned[side].model, batch, optimizers[side])
                times[side].append(took)
                losses[side].append(loss)
    ratios = [a / b for a, b in zip(times[0][2:], times[1][2:], strict=True)]
    return {
        "dropout": dropout, "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
        "of sums": sum(times[0][2:]) / sum(times[1][2:]), "examples/s": [16 * len(ratios) / sum(t[2:]) for t in times],
        "apart": max(abs(a - b) for a, b in zip(*losses, strict=True)), "losses": losses,
    }  # fmt: skip


def main() -> None:
    """Print the ratios with dropout and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dropout", type=float, nargs="+", default=[0.1, 0.0])
    parser.add_argument("--json", help="write the figures there too")
    arguments = parser.parse_args()
    data = str(Path(arguments.data).resolve()) if Path(arguments.data).exists() else arguments.data
    found = [compare(dropout, arguments.steps, data, arguments.base) for dropout in arguments.dropout]
    for one in found:
        peft, fused = one["examples/s"]
        print(
            f"dropout {one['dropout']}: PEFT's layers {peft:.2f} examples/s, fused {fused:.2f}: ratio {one['of sums']:.2f}, median of"
            f" steps {one['ratio']:.2f} [{one['least']:.2f}, {one['most']:.2f}]; losses apart at most {one['apart']:.1e}"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

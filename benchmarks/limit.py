"""How near scoring and training come to the machine's own limit: the same matrix products, alone, in one call.

The products are those of the linear layers of a model's blocks at the batch's shape; attention, norms and the rest are not
counted, so 100 % cannot be reached.

    python -m benchmarks.limit
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any


def seconds(work: Callable[[], Any], repeat: int) -> float:
    """Of one call, the first two left out."""
    work()
    work()
    begun = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - begun) / repeat


def main() -> None:
    """Print the ceiling, and the shares scoring and training reach."""
    import torch
    from torch.nn import functional as F

    from fintune.methods import METHODS
    from fintune.methods.lora.fused import fused
    from fintune.methods.lora.lora import LoraOptions
    from fintune.models import load_model
    from fintune.models.blocks import blocks
    from fintune.models.shortcuts.shortcuts import Shortcuts

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--length", type=int, default=35)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows, length = arguments.rows, arguments.length
    loaded = load_model(arguments.base)
    weights = [m.weight for m in blocks(loaded.model).modules() if isinstance(m, torch.nn.Linear)]
    inputs = {n: torch.randn(rows * length, n) for n in {w.shape[1] for w in weights}}
    outputs = {n: torch.randn(rows * length, n) for n in {w.shape[0] for w in weights}}
    ids = torch.randint(10, 20_000, (rows, length))
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "logits_to_keep": torch.full((rows, 1), length - 1),
    }
    shortcuts = Shortcuts(rows=torch.tensor([11, 12, 13]))

    def forward_alone() -> None:
        with torch.inference_mode():
            for weight in weights:
                F.linear(inputs[weight.shape[1]], weight)

    def backward_alone() -> None:
        with torch.inference_mode():
            for weight in weights:
                outputs[weight.shape[0]] @ weight

    def score(model: Any) -> None:
        with torch.inference_mode(), shortcuts.taken(model, batch) as wanted:
            model(**wanted, use_cache=False)

    def step(model: Any) -> None:
        with shortcuts.taken(model, batch) as wanted:
            loss = F.cross_entropy(model(**wanted, use_cache=False).logits[:, 0], torch.zeros(rows, dtype=torch.long))
        loss.backward()

    flops = 2 * rows * length * sum(w.numel() for w in weights)
    for _ in range(arguments.rounds):
        alone, scored = seconds(forward_alone, 3), seconds(lambda: score(loaded.model), 3)
        print(
            f"forward   products alone {flops / alone / 1e9:5.0f} GFLOP/s · scoring {rows / scored:5.1f} texts/s, "
            f"{alone / scored:.0%} of the ceiling",
            flush=True,
        )
    torch.manual_seed(0)
    for dropout in (0.0, 0.1):
        base = load_model(arguments.base)
        tuned = replace(base, model=METHODS["lora"].attach(base.model, LoraOptions(lora_dropout=dropout), "causal"))
        tuned.model.train()
        with fused(tuned, enabled=True):
            for _ in range(arguments.rounds):
                alone = seconds(forward_alone, 2) + seconds(backward_alone, 2)
                trained = seconds(partial(step, tuned.model), 2)
                print(
                    f"training  products alone {2 * flops / alone / 1e9:5.0f} GFLOP/s · LoRA, dropout {dropout}: "
                    f"{rows / trained:5.1f} examples/s, {alone / trained:.0%} of the ceiling",
                    flush=True,
                )


if __name__ == "__main__":
    main()

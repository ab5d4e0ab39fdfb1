"""Seconds a step and peak memory at mt0-large's true shape (random weights), batch 8: ours against the worked example's loop.

The recipe is examples/mt0-large-phrasebank.yaml (LoRA r 8 on q and v). Texts have the lengths the embedded model's tokenizer
gives them; their ids are folded into mT5's vocabulary. Each side runs in a process of its own, in turns.

    python benchmarks/mt0_shape.py --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
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
from types import SimpleNamespace
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "mt0-large-phrasebank.yaml"
SHAPE = {
    "vocab_size": 250_112, "d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_decoder_layers": 24,
    "num_heads": 16, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
}  # fmt: skip
"""config.json of bigscience/mt0-large"""


def worked(loaded: Any, encoded: Sequence[Any]) -> list[float]:
    """Seconds of each step of the worked example's loop: every text padded to 128 tokens."""
    import torch

    optimizer = torch.optim.AdamW([p for p in loaded.model.parameters() if p.requires_grad], lr=1e-3)
    loaded.model.train()
    seconds = []
    for start in range(0, len(encoded), 8):
        begun, rows = time.perf_counter(), encoded[start : start + 8]
        ids = torch.tensor([row.input_ids[:128] + [0] * (128 - len(row.input_ids)) for row in rows])
        labels = torch.tensor([row.answer_ids + [-100] * (3 - len(row.answer_ids)) for row in rows])
        loaded.model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begun)
    return seconds


def ours(loaded: Any, encoded: Sequence[Any]) -> list[float]:
    """Seconds of each step of fintune.training.loop.trainer.train."""
    from fintune.config.load import load
    from fintune.training.loop.trainer import Hooks, Judgment, train

    ticks: list[float] = [time.perf_counter()]
    hooks = Hooks(
        judge=lambda epoch: Judgment(0.0, 0.0, {}),
        keep=lambda: None,
        log=lambda line: ticks.append(time.perf_counter()) if "step" in line else None,
    )
    settings = load(EXAMPLE).train.model_copy(update={"epochs": 1, "logging_steps": 1})
    with tempfile.TemporaryDirectory() as folder:
        train(loaded, encoded, settings, hooks, folder=Path(folder))
    return [b - a for a, b in pairwise(ticks)]


def child(kind: str, steps: int, data: str) -> None:
    """Run one side and print its figures as JSON."""
    import numpy as np
    import torch
    from transformers import MT5Config, MT5ForConditionalGeneration

    from fintune.config.load import load
    from fintune.config.prepare import prepare
    from fintune.methods import METHODS
    from fintune.models import LoadedModel
    from fintune.models.load import load_tokenizer
    from fintune.runtime.memory import peak_memory
    from fintune.training.encode import encode

    config = load({"model": {"base": "embedded", "max_length": 128}, "data": {"path": data}})
    tokenizer = load_tokenizer("embedded")
    assert tokenizer is not None, "convert the embedded model first: fintune train examples/quickstart.yaml"
    encoded = encode(prepare(config), SimpleNamespace(tokenizer=tokenizer, kind="seq2seq"))  # type: ignore[arg-type]
    chosen = np.random.default_rng(0).permutation(len(encoded))[: 8 * steps]
    for i in chosen:
        encoded[i].input_ids[:] = [1 + n % 250_000 for n in encoded[i].input_ids]
        encoded[i].answer_ids[:] = [1 + n % 250_000 for n in encoded[i].answer_ids]
    torch.manual_seed(0)
    model = MT5ForConditionalGeneration(MT5Config(**SHAPE, dropout_rate=0.1))
    options = load(EXAMPLE).method
    tuned = METHODS["lora"].attach(model, options, "seq2seq")
    loaded = LoadedModel(tuned, SimpleNamespace(pad_token_id=0), "seq2seq", "mt0-large's shape")
    seconds = {"worked": worked, "ours": ours}[kind](loaded, [encoded[i] for i in chosen])
    count = sum(p.numel() for p in tuned.parameters())
    print(json.dumps({"seconds": statistics.mean(seconds[1:]), "memory": peak_memory(), "parameters": count}))


def main() -> None:
    """Alternate the sides and print seconds a step, memory and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        child(arguments.side, arguments.steps, arguments.data)
        return
    found: dict[str, list[float]] = {"worked": [], "ours": []}
    for _ in range(arguments.rounds):
        for kind, seconds in found.items():
            command = [
                sys.executable,
                __file__,
                "--side",
                kind,
                "--steps",
                str(arguments.steps),
                "--data",
                arguments.data,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            seconds.append(figures["seconds"])
            print(
                f"{kind:<8}{figures['seconds']:7.2f} s a step  {figures['memory'] / 1e9:5.1f} GB  "
                f"{figures['parameters']:,} parameters",
                flush=True,
            )
    print(f"ratio {statistics.mean(found['worked']) / statistics.mean(found['ours']):.1f}x")


if __name__ == "__main__":
    main()

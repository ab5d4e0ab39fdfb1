"""Texts per second, time of one text and peak memory of scoring, ours beside the worked example's way, alternating in one call.

All sides read the same texts with the same run's model; the answer is compared with the run's own label.

    python -m benchmarks.score_speed RUN --texts 200
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def generate_each(loaded: Any, prompts: Sequence[str]) -> list[str]:
    """The worked example's way: one `generate` call for each text, until the end token (8 tokens at most)."""
    import torch

    found = []
    for prompt in prompts:
        given = loaded.tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            out = loaded.model.generate(**given, max_new_tokens=8, do_sample=False)
        found.append(loaded.tokenizer.decode(out[0][given["input_ids"].shape[1] :], skip_special_tokens=True))
    return found


def pipeline_batches(loaded: Any, prompts: Sequence[str]) -> list[str]:
    """transformers' text-generation pipeline, 16 at a time."""
    from transformers import pipeline

    loaded.tokenizer.padding_side = "left"
    run = pipeline("text-generation", model=loaded.model, tokenizer=loaded.tokenizer, batch_size=16)
    out = run(list(prompts), max_new_tokens=8, do_sample=False, return_full_text=False)
    return [item[0]["generated_text"] for item in out]


GENERATING: dict[str, Callable[[Any, Sequence[str]], list[str]]] = {
    "generate, a text at a time": generate_each,
    "text-generation pipeline": pipeline_batches,
}
ENGINES = {"ours, torch": "torch", "ours, int8": "int8"}


def child(side: str, folder: str, count: int) -> None:
    """Run one side and print its figures as JSON."""
    from dataclasses import replace

    from fintune.inference.load import load_tuned
    from fintune.inference.open import open_engine
    from fintune.records import Example
    from fintune.runs.run import Run
    from fintune.runtime.memory import peak_memory

    run = Run.open(folder)
    task = run.config().build_task()
    stored = run.predictions("validation")
    stored = [stored[i % len(stored)] for i in range(count)]
    prompts, labels = [task.prompt(p.example) for p in stored], [p.answer for p in stored]
    ones: list[float] = []
    if side in ENGINES:
        engine = open_engine(run, ENGINES[side])
        engine.rank(prompts[:32], list(task.choices().values()))
        begun = time.perf_counter()
        found = engine.rank(prompts, list(task.choices().values())).probabilities().argmax(axis=1)
        seconds = time.perf_counter() - begun
        answers = [list(task.choices())[i] for i in found]
        for prompt in prompts[:60]:
            begun = time.perf_counter()
            engine.rank([prompt], list(task.choices().values()))
            ones.append(time.perf_counter() - begun)
    else:
        loaded = load_tuned(run)
        loaded = replace(loaded, model=loaded.model.merge_and_unload().eval())
        texts = [str(p).removesuffix(" ") for p in prompts]
        GENERATING[side](loaded, texts[:2])
        begun = time.perf_counter()
        said = GENERATING[side](loaded, texts)
        seconds = time.perf_counter() - begun
        answers = [
            task.parse_answer(answer.strip().split("\n")[0].split(" ")[0], Example("", {}, None)) or ""
            for answer in said
        ]
    agree = float(np.mean([a == b for a, b in zip(answers, labels, strict=True)]))
    p50, p99 = (float(np.percentile(ones, q)) * 1000 if ones else None for q in (50, 99))
    print(json.dumps({"rate": count / seconds, "p50": p50, "p99": p99, "memory": peak_memory(), "agree": agree}))


def main() -> None:
    """Alternate the sides and print rates, times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--texts", type=int, default=226)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        child(arguments.side, arguments.run, arguments.texts)
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in [*GENERATING, *ENGINES]}
    for _ in range(arguments.rounds):
        for side, results in found.items():
            count = max(16, arguments.texts // 6) if side in GENERATING else arguments.texts
            command = [
                sys.executable,
                "-m",
                "benchmarks.score_speed",
                arguments.run,
                "--side",
                side,
                "--texts",
                str(count),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{side}: {done.stderr[-2000:]}")
            results.append(json.loads(done.stdout.splitlines()[-1]))
            last = results[-1]
            one = f"one text {last['p50']:.0f} ms (p99 {last['p99']:.0f})" if last["p50"] else ""
            print(
                f"{side:<28}{last['rate']:7.2f} texts/s  {last['memory'] / 1e9:4.1f} GB  same label {last['agree']:.1%}  {one}",
                flush=True,
            )
    first = statistics.mean(r["rate"] for r in found["generate, a text at a time"])
    for side, results in found.items():
        mean = statistics.mean(r["rate"] for r in results)
        print(f"{side:<28}mean {mean:7.2f}  ratio {mean / first:5.1f}x")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

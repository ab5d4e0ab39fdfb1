"""`fintune check` and `fintune predict` on up to a million synthetic rows: seconds, time a row, peak memory, each in its own process.

python benchmarks/data_scale.py check --rows 1000000
python benchmarks/data_scale.py predict --rows 1000 10000 100000 1000000 --plot docs/benchmarks/predict_scale.png
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

LABELS = ("negative", "neutral", "positive")
_MEASURED = """
import json, resource, runpy, sys
sys.argv = {arguments!r}
try:
    runpy.run_module("fintune.cli.app", run_name="__main__")
except SystemExit as ended:
    code = ended.code
print(json.dumps({{"code": code or 0, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}}), file=open({result!r}, "w"))
"""


def write(path: Path, number: int) -> Path:
    """A csv of `number` rows with labels at random."""
    from tests.synthetic import headlines

    labels = np.random.default_rng(0).integers(len(LABELS), size=number).tolist()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(headlines(number, window=10_000), (LABELS[i] for i in labels), strict=True))
    return path


def measured(arguments: Sequence[str], folder: Path) -> dict[str, float]:
    """Wall seconds and peak bytes of `fintune ARGUMENTS` in a process of its own."""
    result = folder / "result.json"
    begun = time.perf_counter()
    code = _MEASURED.format(arguments=["fintune", *arguments], result=str(result))
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - begun} | json.loads(result.read_text())


def tiny_run(folder: Path) -> Path:
    """A finished run of the tests' tiny causal model."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    import fintune
    from tests.tiny import byte_tokenizer, config_for, tiny_rows

    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=256, sliding_window=128,
        layer_types=["sliding_attention", "full_attention"], pad_token_id=256, bos_token_id=257, eos_token_id=258,
    )  # fmt: skip
    Gemma3ForCausalLM(config).save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows()))
    return fintune.train(
        config_for(folder / "model", rows, folder), ["train.epochs=1", "evaluation.batch_size=256"]
    ).folder


def check(rows: Sequence[int], folder: Path) -> None:
    """Two lines a size: with and without near-duplicates."""
    for number in rows:
        path = write(folder / f"{number}.csv", number)
        for flags in ([], ["--no-near-duplicates"]):
            (folder / "run.yaml").write_text(json.dumps({"data": {"path": str(path)}}))
            found = measured(["check", str(folder / "run.yaml"), *flags], folder)
            print(
                f"check {number:>9,} {' '.join(flags):<21}{found['seconds']:7.1f} s  {found['peak'] / 1e9:5.2f} GB",
                flush=True,
            )


def predict(rows: Sequence[int], folder: Path, plot: Path | None) -> None:
    """A line a size; seconds a row and peak memory."""
    run, points = tiny_run(folder), []
    for number in rows:
        path = write(folder / f"{number}.csv", number)
        arguments = ["predict", str(run), "--file", str(path), "--output", str(folder / "out.csv")]
        found = measured(arguments, folder)
        points.append((number, found["seconds"], found["peak"]))
        each, peak = 1e3 * found["seconds"] / number, found["peak"] / 1e9
        print(f"predict {number:>9,} {found['seconds']:8.1f} s {each:8.3f} ms a row {peak:5.2f} GB", flush=True)
    if plot is not None:
        draw(points, plot)


def draw(points: Sequence[tuple[int, float, float]], path: Path) -> None:
    """Time a row (without the start of the smallest job) and peak memory over rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2))
    start = points[0][1]
    later: Any = points[1:]
    left.semilogx([n for n, _, _ in later], [1e3 * (s - start) / (n - points[0][0]) for n, s, _ in later], "o-")
    left.set(xlabel="rows", ylabel="ms a row, start-up taken off", title="time a row")
    right.semilogx([n for n, _, _ in points], [peak / 1e6 for _, _, peak in points], "o-")
    right.set(xlabel="rows", ylabel="MB", title="peak memory of the process")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["check", "predict"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "check":
            check(given.rows, Path(folder))
        else:
            predict(given.rows, Path(folder), given.plot)


if __name__ == "__main__":
    main()

"""Quality and speed against the number of blocks: the embedded model read out after fewer of them, healed by a short LoRA run.

The recipe is examples/phrasebank-fast.yaml with the last six blocks and two whole epochs; accuracy is that of the validation part.

    python -m benchmarks.prune_curve --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt --layers 0 14 10 8 6
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "phrasebank-fast.yaml"
SIX_BLOCKS = ["method.layers=top:6", "train.hard_example_ratio=1"]


def healed(data: str, layers: int, folder: Path, sets: list[str]) -> Any:
    """A run on the model pruned to so many blocks (0: with all of them)."""
    import fintune
    from fintune.compression.prune import prune

    overrides = [f"data.path={data}", f"output={folder}", f"name=layers-{layers}", "evaluation.test=false"]
    overrides += [*SIX_BLOCKS, *sets]
    if layers:
        prune("embedded", layers=layers, output=folder / f"base-{layers}")
        overrides.append(f"model.base={folder / f'base-{layers}'}")
    return fintune.train(EXAMPLE, [*overrides, "evaluation.baselines=[]"])


def rates(runs: dict[int, Any], rounds: int) -> dict[int, list[float]]:
    """Texts of the validation part a second, the runs in turns."""
    from fintune.inference.open import open_engine

    found: dict[int, list[float]] = {layers: [] for layers in runs}
    engines = {layers: open_engine(run) for layers, run in runs.items()}
    run = next(iter(runs.values()))
    task = run.config().build_task()
    prompts = [task.prompt(p.example) for p in run.predictions("validation")]
    for _ in range(rounds):
        for layers, running in engines.items():
            running.rank(prompts[:32], list(task.choices().values()))
            begun = time.perf_counter()
            running.rank(prompts, list(task.choices().values()))
            found[layers].append(len(prompts) / (time.perf_counter() - begun))
    return found


def main() -> None:
    """A line for each number of blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 14, 10, 8, 6])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", help="write the figures there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FINTUNE_TRUNK_CACHE"] = str(Path(folder) / "trunk")
        data, runs = str(Path(arguments.data).resolve()), {}
        for layers in arguments.layers:
            runs[layers] = healed(data, layers, Path(folder), arguments.set)
            accuracy = runs[layers].scores()["validation"]["accuracy"].value
            print(f"{layers or 'all'} blocks: validation accuracy {accuracy:.2%}", flush=True)
        speeds = rates(runs, arguments.rounds)
        found = [
            {
                "layers": layers,
                "accuracy": run.scores()["validation"]["accuracy"].value,
                "macro_f1": run.scores()["validation"]["macro_f1"].value,
                "parameters": run.environment()["parameters"],
                "texts_per_second": speeds[layers],
            }
            for layers, run in runs.items()
        ]
    for one in found:
        print(" · ".join(f"{name} {value}" for name, value in one.items()))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

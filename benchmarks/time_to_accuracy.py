"""Seconds from a loaded model to a validation accuracy, over seeds: everything between counts (trunk states, training, judging).

The trunk cache is empty at each start. What others would take: their examples a second (benchmarks.train_speed --json) for the examples
that the plain recipe, LoRA on all layers, needs to the same accuracy in each seed (--examples; its loss curve is theirs, as
benchmarks.train_speed --curves shows); their loading and judging is not counted.

    python -m benchmarks.time_to_accuracy --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt --seeds 0 1 2
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "phrasebank-embedded.yaml"


def timed(data: str, seed: int, target: float, sets: list[str]) -> dict[str, Any]:
    """One training: seconds and accuracy at the end of each epoch, counted from the moment the adapter is attached."""
    import os

    import fintune
    from fintune.runtime.progress import Progress, listening

    marks: dict[str, float] = {}

    def note(event: Progress) -> None:
        if event.note and event.total == 0 and (event.stage == "model" or "validation" in event.note):
            marks[event.stage] = time.monotonic()

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FINTUNE_TRUNK_CACHE"] = str(Path(folder) / "trunk")
        overrides = [
            f"data.path={data}", f"output={folder}", f"train.seed={seed}", "evaluation.test=false", "evaluation.baselines=[]",
        ]  # fmt: skip
        with listening(note):
            run = fintune.train(EXAMPLE, [*overrides, *sets])
        epochs = [line for line in run.log() if "best" in line]
    points = [(marks[f"epoch {line['epoch']}"] - marks["model"], line["validation_accuracy"]) for line in epochs]
    reached = next((seconds for seconds, accuracy in points if accuracy >= target), None)
    return {"seed": seed, "points": points, "reached": reached}


def compare(results: list[dict[str, Any]], speeds: str, examples: list[int]) -> None:
    """Print how much longer others take, from their speeds."""
    if any(r["reached"] is None for r in results):
        print("not reached in every seed: no ratio")
        return
    ours = statistics.mean(r["reached"] for r in results)
    print(f"reached after {ours:.0f} s on average")
    for side, rounds in json.loads(Path(speeds).read_text()).items():
        if not side.startswith("ours, candidates, top"):
            theirs = statistics.mean(examples) / statistics.mean(r["rate"] for r in rounds)
            print(f"{side:<34}{theirs:7.0f} s  {theirs / ours:5.1f}x")


def main() -> None:
    """Run the seeds and print when each reached the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--target", type=float, default=0.965)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--speeds", help="JSON of benchmarks.train_speed: what others would take")
    parser.add_argument("--examples", type=int, nargs="+", help="what the plain recipe needs in each seed")
    parser.add_argument("--json", help="write the figures there too")
    arguments = parser.parse_args()
    results = []
    for seed in arguments.seeds:
        results.append(timed(str(Path(arguments.data).resolve()), seed, arguments.target, arguments.set))
        points = " · ".join(f"{accuracy:.1%} after {seconds:.0f} s" for seconds, accuracy in results[-1]["points"])
        print(f"seed {seed}: {points}", flush=True)
    last = [r["points"][-1] for r in results]
    print(
        f"mean accuracy at the end {statistics.mean(a for _, a in last):.2%}, after {statistics.mean(s for s, _ in last):.0f} s"
    )
    if arguments.speeds:
        compare(results, arguments.speeds, arguments.examples)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

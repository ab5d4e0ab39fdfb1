"""CPU seconds of a first try: `check` of 100 and of 10,000 made-up rows, and `predict RUN "text"` to its answer.

Every command is a process of its own, its user and system time are those of the operating system; the cache is the user's.

    python -m benchmarks.trying --run runs/complaints --rounds 5
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LABELS = ("card", "loan", "mortgage", "transfer", "fees")
COMMON = (
    "the",
    "my",
    "bank",
    "was",
    "charged",
    "for",
    "again",
    "without",
    "notice",
    "after",
    "call",
    "told",
    "me",
    "that",
)
NOT_AT_HAND = "nobody/nothing"
"""A hub model that is not here: no tokenizer is read."""


def write_rows(path: Path, count: int) -> None:
    """Write made-up complaints: a third of the words are those of the label."""
    draw = random.Random(count)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "product"])
        for _ in range(count):
            label = draw.choice(LABELS)
            own = [f"{label}{i}" for i in range(40)]
            words = [draw.choice(own if draw.random() < 0.35 else COMMON) for _ in range(draw.randint(8, 30))]
            rows.writerow([" ".join(words), label])


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Return what a command of fintune's took of the processors, user and system."""
    child = subprocess.Popen(
        [sys.executable, "-m", "fintune", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"fintune {' '.join(arguments)}: exit code {child.returncode}")
    return used.ru_utime + used.ru_stime


def commands(folder: Path, run: str | None) -> dict[str, list[str]]:
    """Return what is measured, by name; makes the files."""
    measured = {}
    for count in (100, 10_000):
        path = folder / f"complaints-{count}.csv"
        write_rows(path, count)
        measured[f"check, {count:,} rows, no tokenizer at hand"] = [
            "check",
            str(path),
            "--set",
            f"model.base={NOT_AT_HAND}",
        ]
        measured[f"check, {count:,} rows"] = ["check", str(path)]
    if run is not None:
        measured["predict, one text"] = ["predict", run, "my loan payment was late"]
    return measured


def main() -> None:
    """Measure in turns, so that a slow minute of the machine is everybody's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a run on the embedded model; left out: check alone")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = commands(Path(folder), options.run)
        seconds: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(options.rounds):
            for name, arguments in measured.items():
                seconds[name].append(cpu_seconds(arguments))
    rows = [
        [name, f"{statistics.median(took):.1f}", f"{min(took):.1f} to {max(took):.1f}"]
        for name, took in seconds.items()
    ]
    print(json.dumps({"columns": ["", "CPU seconds, median", "range"], "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

"""Training beside a busy program: what threads that spin while they wait for each other cost, and what they cost when alone.

Each measurement is a process of its own, in turns; the busy program is an endless loop of Python on one core.

    python -m benchmarks.shared_cores --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from benchmarks.train_speed import measure

POLICIES = {
    "spinning (GNU OpenMP's default)": {"OMP_WAIT_POLICY": "", "GOMP_SPINCOUNT": "300000"},
    "a short spin, then sleep": {"GOMP_SPINCOUNT": "2000"},
    "sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
}


@contextmanager
def busy(there: bool) -> Iterator[None]:
    """A program that uses one core to the full."""
    if not there:
        yield
        return
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def main() -> None:
    """Print examples per second of every policy, alone and beside the busy program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="builtin:headlines")
    parser.add_argument("--base", default="embedded")
    parser.add_argument("--side", default="ours")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    data = str(Path(given.data).resolve()) if Path(given.data).exists() else given.data
    rates: dict[tuple[bool, str], list[float]] = {(there, name): [] for there in (False, True) for name in POLICIES}
    for _ in range(given.rounds):
        for (there, name), found in rates.items():
            with mock.patch.dict(os.environ, POLICIES[name]), busy(there):
                found.append(measure(given.side, 16, given.steps, data, given.base)["rate"])
    for (there, name), found in rates.items():
        base = statistics.median(rates[there, next(iter(POLICIES))])
        rate, each = statistics.median(found), " ".join(f"{one:.2f}" for one in found)
        print(
            f"{'beside it' if there else 'alone':<10} {name:<32} {rate:6.2f} examples/s  x{rate / base:.2f}  ({each})"
        )


if __name__ == "__main__":
    main()

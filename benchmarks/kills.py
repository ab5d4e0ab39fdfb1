"""Kill a real run with SIGKILL at random moments, resume it, and compare its adapter with that of the run never killed.

    python benchmarks/kills.py --kills 30

Prints a line for each kill: when it came, the step the run went on from, and whether the bytes are the same. `--config` and `--set`
choose another run than 60 steps of the built-in headlines on the embedded model's shape cut to two blocks.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fintune.run import Run

_FILES = ("adapter/adapter_model.safetensors", "adapter/adapter_config.json", "scores.json")


def command(arguments: argparse.Namespace, output: Path, *more: str) -> list[str]:
    """The run, writing below `output`."""
    sets = [f"output={output}", *arguments.set]
    return [
        sys.executable, "-m", "fintune.cli", "train", str(arguments.config),
        *(word for one in sets for word in ("--set", one)), *more,
    ]  # fmt: skip


def digest(folder: Path) -> str:
    """One hash of what a run has learned and scored."""
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in _FILES)).hexdigest()[:12]


def killed(arguments: argparse.Namespace, output: Path, after: float) -> tuple[bool, str, str]:
    """Start, kill after so many seconds, resume. Returns whether it was still running, the stage and step, the digest."""
    process = subprocess.Popen(
        command(arguments, output, "--resume"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(after)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    told = process.communicate()[1].decode().splitlines()
    run = Run(next(output.iterdir())) if output.exists() and any(output.glob("[!.]*")) else None
    stage = told[-1][:60] if told else "starting"
    logged = run.log() if run and (run.folder / "log.jsonl").exists() else []
    steps = [line["step"] for line in logged if "step" in line]
    done = subprocess.run(command(arguments, output, "--resume"), capture_output=True, text=True, check=True)
    onward = [line for line in done.stderr.splitlines() if "going on from" in line or "finished already" in line]
    where = f"logged step {steps[-1] if steps else 0}; {onward[0].split(maxsplit=1)[1] if onward else 'begun anew'}"
    return alive, f"{where}; {stage}", digest(next(output.glob("[!.]*")))


def main() -> None:
    """Run once whole, then kill and resume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument(
        "--config", type=Path, default=Path(__file__).resolve().parents[1] / "examples" / "quickstart.yaml"
    )
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        begun = time.monotonic()
        subprocess.run(command(arguments, Path(place) / "whole"), capture_output=True, check=True)
        length = time.monotonic() - begun
        expected = digest(next((Path(place) / "whole").glob("[!.]*")))
        print(f"never killed: {expected}, {length:.0f} s", flush=True)
        chance, same = random.Random(arguments.seed), 0
        for i in range(arguments.kills):
            after = chance.uniform(0, length)
            alive, where, found = killed(arguments, Path(place) / f"killed-{i}", after)
            same += alive and found == expected
            print(
                f"{i + 1:>3}  {after:6.1f} s  {found} {'same' if found == expected else 'OTHER'}  {where}", flush=True
            )
    print(f"{same} of {arguments.kills} the same bytes")
    sys.exit(0 if same == arguments.kills else 1)


if __name__ == "__main__":
    main()

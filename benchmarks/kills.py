"""Kill a real run with SIGKILL at random moments, resume it, and compare its adapter with that of the run never killed.

    python -m benchmarks.kills --kills 30
    python -m benchmarks.kills --kills 4 --base embedded --set train.epochs=1 --set train.save_steps=10

The run: the built-in headlines on a random Gemma 3 of four blocks, or on `--base`. Prints a line for each kill: when it came,
the last step that was logged, where the run went on, what the killed process had told last, and whether adapter and scores
are the same bytes.
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

from fintune.runs.run import Run

CONFIG = Path(__file__).resolve().parents[1] / "examples" / "quickstart.yaml"
_FILES = ("adapter/adapter_model.safetensors", "adapter/adapter_config.json", "scores.json")


def small_model(folder: Path) -> Path:
    """A random Gemma 3 of four blocks that reads bytes."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    from tests.tiny import byte_tokenizer

    torch.manual_seed(0)
    shape = {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "head_dim": 24,
    }
    tokens = {"vocab_size": 259, "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258}
    Gemma3ForCausalLM(Gemma3TextConfig(**shape, **tokens, num_key_value_heads=1)).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def command(arguments: argparse.Namespace, output: Path, *more: str) -> list[str]:
    """The run, writing below `output`."""
    sets = [f"output={output}", f"model.base={arguments.base}", *arguments.set]
    return [
        sys.executable, "-m", "fintune.cli.app", "train", str(CONFIG),
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
    folder = next(output.glob("[!.]*"), None)
    run = Run(folder) if folder else None
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
    parser.add_argument("--base")
    parser.add_argument("--set", action="append", default=["method.lora_dropout=0.1"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if arguments.base is None:
            arguments.base = str(small_model(Path(place) / "small"))
            arguments.set += ["train.save_steps=10"]
        begun = time.monotonic()
        subprocess.run(command(arguments, Path(place) / "whole"), capture_output=True, check=True)
        length = time.monotonic() - begun
        expected = digest(next((Path(place) / "whole").glob("[!.]*")))
        print(f"never killed: {expected}, {length:.0f} s", flush=True)
        chance, same = random.Random(arguments.seed), 0
        kills = 0
        while kills < arguments.kills:
            after = chance.uniform(0, length)
            alive, where, found = killed(arguments, Path(place) / f"killed-{kills}-{after:.3f}", after)
            if not alive:  # it had ended before the blow
                continue
            kills += 1
            same += found == expected
            print(
                f"{kills:>3}  {after:6.1f} s  {found} {'same' if found == expected else 'OTHER'}  {where}", flush=True
            )
    print(f"{same} of {arguments.kills} the same bytes")
    sys.exit(0 if same == arguments.kills else 1)


if __name__ == "__main__":
    main()

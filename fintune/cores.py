"""How many CPU threads are fastest on this machine: measured once for a second, then remembered, so that runs agree.

>>> fastest_threads()
2
"""

import json
import os
import platform
import time
from pathlib import Path

from fintune.atomic import write_atomically
from fintune.models.embedded import cache_folder
from fintune.progress import tell

_SECONDS = 0.25
"""for each number of threads"""
_SHAPE = (512, 1024, 1024)
"""of the product that is measured: a batch of texts through a layer of a small model"""


def fastest_threads() -> int:
    """The number to use where none is asked for; never more than torch would take (OMP_NUM_THREADS)."""
    import torch

    most = torch.get_num_threads()
    if most == 1:
        return 1
    place = cache_folder() / "threads.json"
    key = f"{platform.node()} {platform.processor()} {os.cpu_count()} cores, at most {most}, torch {torch.__version__}"
    known = _known(place)
    if key not in known:
        known[key] = _measured(most)
        tell("train", f"{known[key]} CPU threads are fastest here (remembered in {place})")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, json.dumps(known, indent=1))
    return known[key]


def _known(place: Path) -> dict[str, int]:
    try:
        found = json.loads(place.read_text("utf-8"))
        return {key: value for key, value in found.items() if isinstance(value, int) and value > 0}
    except (OSError, ValueError, AttributeError):
        return {}


def _measured(most: int) -> int:
    """The quicker of all threads and half of them: two of a core share its arithmetic, and may only wait for each other."""
    import torch

    a, b = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[1], _SHAPE[2])
    rates: dict[int, float] = {}
    for threads in {most, max(1, most // 2)}:
        torch.set_num_threads(threads)
        a @ b
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < _SECONDS:
            a @ b
            count += 1
        rates[threads] = count / (time.perf_counter() - begun)
    torch.set_num_threads(most)
    return max(rates, key=lambda threads: rates[threads])

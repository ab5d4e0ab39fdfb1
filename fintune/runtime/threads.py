"""How many CPU threads are fastest on this machine: measured once for a second, then remembered, so that runs agree.

>>> fastest_threads()
2
"""

import os
import platform
import time
from collections.abc import Callable
from typing import Any

from fintune.runtime.cache import remembered
from fintune.runtime.progress import tell

_SECONDS = 0.25
"""for each number of threads"""
_TURNS = 3
_SHAPE = (512, 1024, 1024)
"""of the product that is measured: a batch of texts through a layer of a small model"""


def fastest_threads() -> int:
    """Return the number to use where none is asked for; never more than torch would take (OMP_NUM_THREADS)."""
    import torch

    most = torch.get_num_threads()
    if most == 1:
        return 1
    key = f"{platform.node()} {platform.processor()} {os.cpu_count()} cores, at most {most}, torch {torch.__version__}"
    return remembered("threads.json", key, lambda: _measured(most))


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products in bfloat16; without, torch makes them many times slower than float32's."""
    import torch

    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


def int8_gain() -> float:
    """How many times the speed of float32 products those of 8-bit integers have here; without instructions for them, a small part."""
    import torch

    key = f"{platform.node()} {platform.processor()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    return remembered("int8.json", key, _int8_measured)


def _int8_measured() -> float:
    """Return the best of a few turns of each, in turn."""
    import torch

    a, b = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[1], _SHAPE[2])
    whole, other = a.to(torch.int8), b.to(torch.int8).T.contiguous().T
    products: dict[str, Callable[[], Any]] = {"float32": lambda: a @ b, "int8": lambda: torch._int_mm(whole, other)}
    best = dict.fromkeys(products, float("inf"))
    for _ in range(_TURNS):
        for name, product in products.items():
            begun = time.perf_counter()
            product()
            best[name] = min(best[name], time.perf_counter() - begun)
    return best["float32"] / best["int8"]


def _measured(most: int) -> int:
    """Return the quicker of all threads and half of them: two of a core share its arithmetic, and may only wait for each other."""
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
    fastest = max(rates, key=lambda threads: rates[threads])
    tell("train", f"{fastest} CPU threads are fastest here")
    return fastest

"""How many CPU threads are fastest on this machine: measured once, remembered in `threads.json` of the cache folder.

A machine that is busy must not decide. Of every measurement the CPU time of the process is compared with the time that passed:
threads that had to share their cores, with other programs or with other threads of this process, have used less of it, or more,
than their number. Two undisturbed measurements that agree are remembered; where there are none, this process alone goes by
what it has seen. To measure again, remove `threads.json` (FINTUNE_CACHE names the folder).

Example:
    fastest_threads()
    # 2
"""

import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from fintune.runtime.cache import cache_folder, recall, remember, remembered
from fintune.runtime.environment import between_blocks
from fintune.runtime.progress import tell

FILE_OF_THREADS = "threads.json"
"""The file of the cache folder that holds the number; without it, it is measured again."""
_SECONDS = 0.15
"""Time for each number of threads in a round."""
_ROUNDS = 4
"""Measurements at most, of which two must agree."""
_DISTURBED = 0.15
"""Part of their CPU time that threads may lack, or have too much of, before something else counts as running beside them."""
_INT8_TURNS = 3
_SHAPE = (512, 1024, 1024)
"""Size of the product that is measured: a batch of texts through a layer of a small model."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One measurement of a number of threads."""

    threads: int
    rate: float
    """Products a second."""
    cores: float
    """Seconds of CPU time of this process for each second that passed."""

    @property
    def undisturbed(self) -> bool:
        """Whether these threads had a core each, and nothing else ran in the process."""
        return abs(self.cores / self.threads - 1) <= _DISTURBED


def fastest_threads() -> int:
    """Return the number to use where none is asked for; never more than torch would take (OMP_NUM_THREADS)."""
    import torch

    most = torch.get_num_threads()
    if most == 1:
        return 1
    if (known := recall(FILE_OF_THREADS, _key(most))) is not None:
        return int(known)
    with (
        between_blocks() as free
    ):  # others that compute would be timed with it, and would change their number of threads
        return _of_this_process(most) if free else most


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products in bfloat16; without, torch makes them many times slower than float32's."""
    import torch

    return any(has_it for name, has_it in torch.cpu.get_capabilities().items() if "bf16" in name)


def int8_gain() -> float:
    """Return how many times the speed of float32 products those of 8-bit integers have here; a small part without instructions for them."""
    import torch

    key = f"{platform.node()} {platform.processor()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    return remembered("int8.json", key, _int8_measured)


def agreed(most: int, measure: Callable[[int], Timing]) -> tuple[int, bool]:
    """Return the quicker of all threads and half of them, and whether two undisturbed measurements say so.

    Two threads of one core share its arithmetic, and may only wait for each other. Where nothing is agreed on, it is all threads:
    one number for every process, so that runs agree.
    """
    votes: Counter[int] = Counter()
    for number in range(_ROUNDS):
        order = [most, max(1, most // 2)]
        timings = [measure(threads) for threads in (order if number % 2 == 0 else order[::-1])]
        fastest = max(timings, key=lambda timing: timing.rate).threads
        if all(timing.undisturbed for timing in timings):
            votes[fastest] += 1
            if votes[fastest] == 2:
                return fastest, True
    return most, False


@cache
def _of_this_process(most: int) -> int:
    """Measure, remember what is agreed on, and say what was found and how to measure again."""
    fastest, sure = agreed(most, _timing())
    place = cache_folder() / FILE_OF_THREADS
    if sure:
        tell("train", f"CPU threads: {fastest}, the fastest number here; to measure again, remove {place}")
        return remember(FILE_OF_THREADS, _key(most), fastest)
    tell(
        "train",
        f"CPU threads: {fastest} for now; the machine is busy, and is measured again another time (or set train.threads)",
    )
    return fastest


def _key(most: int) -> str:
    import torch

    cores = f"{os.cpu_count()} cores, at most {most}"
    return f"{platform.node()} {platform.processor()} {cores}, torch {torch.__version__}, measured twice"


def _timing() -> Callable[[int], Timing]:
    """Return what times a number of threads at products of one size."""
    import torch

    a, b = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[1], _SHAPE[2])

    def measure(threads: int) -> Timing:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return time_calls(lambda: a @ b, threads)
        finally:
            torch.set_num_threads(before)

    return measure


def time_calls(call: Callable[[], object], threads: int) -> Timing:
    """Call again and again for a moment, once unmeasured, and return how often and on how many cores."""
    call()
    begun, used, count = time.perf_counter(), time.process_time(), 0
    while True:
        call()
        count += 1
        if (passed := time.perf_counter() - begun) >= _SECONDS:
            break
    return Timing(threads=threads, rate=count / passed, cores=(time.process_time() - used) / passed)


def _int8_measured() -> float:
    """Return the ratio of the best of a few turns of each: what else runs can only make a turn slower."""
    import torch

    a, b = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[1], _SHAPE[2])
    whole, other = a.to(torch.int8), b.to(torch.int8).T.contiguous().T
    products: dict[str, Callable[[], object]] = {"float32": lambda: a @ b, "int8": lambda: torch._int_mm(whole, other)}
    best = dict.fromkeys(products, float("inf"))
    for _ in range(_INT8_TURNS):
        for name, product in products.items():
            begun = time.perf_counter()
            product()
            best[name] = min(best[name], time.perf_counter() - begun)
    return best["float32"] / best["int8"]

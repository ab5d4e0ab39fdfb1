"""How much memory this process has needed at most, and how much there is."""

import gc
import os
import resource
import sys


def peak_memory() -> int:
    """Largest resident size so far, in bytes; on a GPU its largest allocation."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Let peak_memory begin anew, for a process that trains several times; where the system does not allow it, nothing changes."""
    import torch

    gc.collect()  # what an earlier training left in cycles is none of the next one's need
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # proc(5): resets VmHWM, which getrusage reads
    except OSError:
        pass


def resident_memory() -> int:
    """Memory this process holds now, in bytes; where that cannot be asked, its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory()


def on_gpu() -> bool:
    """Whether peak_memory speaks of a GPU."""
    import torch

    return torch.cuda.is_available()


def machine_memory() -> int:
    """Memory of the GPU, or of the machine, in bytes."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

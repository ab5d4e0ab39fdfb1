"""How much memory this process has needed at most."""

import resource
import sys


def peak_memory() -> int:
    """Largest resident size so far, in bytes; on a GPU its largest allocation."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

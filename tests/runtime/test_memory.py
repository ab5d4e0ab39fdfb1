"""The peak of memory can begin anew, for a process that trains several times."""

import sys

import numpy as np
import pytest

from fintune.runtime.memory import forget_peak, on_gpu, peak_memory


@pytest.mark.skipif(not sys.platform.startswith("linux") or on_gpu(), reason="speaks of Linux and its resident memory")
def test_a_peak_is_forgotten() -> None:
    held = np.ones(40_000_000)
    high = peak_memory()
    del held
    forget_peak()
    assert peak_memory() < high - 200_000_000

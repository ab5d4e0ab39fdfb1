"""What log.jsonl says of a whole training: its time, its memory.

>>> train_seconds([{"step": 10, "examples": 40, "examples_per_second": 4.0}])
10.0
"""

from collections.abc import Iterable

from fintune.runs.schema import LogLine


def train_seconds(lines: Iterable[LogLine]) -> float:
    """Return the time the optimizer's steps took, judging and loading apart; of an interrupted run, all its parts."""
    timed = [line for line in lines if "examples_per_second" in line]
    return float(sum(line.get("examples", 0) / max(line["examples_per_second"], 1e-3) for line in timed))


def logged_peak_memory(lines: Iterable[LogLine]) -> int:
    """Return the largest peak memory of any line, in bytes; 0 where none says."""
    return max((line.get("peak_memory_bytes", 0) for line in lines), default=0)

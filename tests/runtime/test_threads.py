"""`threads: auto`: what a busy machine shows is not remembered; what two measurements agree on is, once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from fintune.runtime import threads
from fintune.runtime.environment import deterministic
from fintune.runtime.progress import Progress, listening
from fintune.runtime.threads import FILE_OF_THREADS, Timing, agreed, fastest_threads, time_calls


def machine(*shares: float, faster: int = 2) -> tuple[Callable[[int], Timing], list[int]]:
    """Return measurements of a machine that gives a process these shares of its cores in turn, and the numbers it is asked for."""
    asked: list[int] = []

    def measure(number: int) -> Timing:
        share = shares[min(len(asked), len(shares) - 1)]
        asked.append(number)
        return Timing(threads=number, rate=(2.0 if number == faster else 1.0) * share, cores=number * share)

    return measure, asked


@pytest.mark.parametrize("faster", [2, 4])
def test_two_undisturbed_measurements_are_enough(faster: int) -> None:
    measure, asked = machine(1.0, faster=faster)
    assert agreed(4, measure) == (faster, True)
    assert asked == [4, 2, 2, 4]


def test_disturbed_measurements_do_not_count() -> None:
    measure, asked = machine(0.5, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert agreed(4, measure) == (2, True)
    assert len(asked) == 6, "the first of three is thrown away"


def test_a_machine_that_stays_busy_decides_nothing_for_ever() -> None:
    measure, asked = machine(0.6, faster=1)
    assert agreed(2, measure) == (2, False)
    assert len(asked) == 8


def test_measurements_that_contradict_each_other_leave_all_threads() -> None:
    answers = iter([4, 2, 2, 4, 4, 2, 2, 4])
    rates = iter([1.0, 2.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0])
    measure = lambda number: Timing(threads=next(answers), rate=next(rates), cores=number * 0.5)  # noqa: E731
    assert agreed(4, measure) == (4, False)


@pytest.mark.parametrize(("share", "undisturbed"), [(1.0, True), (0.9, True), (0.7, False), (1.9, False)])
def test_wall_time_is_compared_with_the_time_of_the_process(
    share: float, undisturbed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks move with the calls alone: each takes 0.01 s, and two threads of the CPU as far as they get it."""
    calls: list[None] = []
    monkeypatch.setattr(threads.time, "perf_counter", lambda: 5 + 0.01 * len(calls))
    monkeypatch.setattr(threads.time, "process_time", lambda: 3 + 0.01 * len(calls) * 2 * share)
    timing = time_calls(lambda: calls.append(None), 2)
    assert (timing.rate, timing.cores) == (pytest.approx(100), pytest.approx(2 * share))
    assert timing.undisturbed == undisturbed


@pytest.fixture
def four_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process that torch gives four threads, and a cache of its own."""
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    threads._of_this_process.cache_clear()
    yield tmp_path / FILE_OF_THREADS
    threads._of_this_process.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, *shares: float) -> list[int]:
    measure, asked = machine(*shares)
    monkeypatch.setattr(threads, "_timing", lambda: measure)
    return asked


def test_what_is_agreed_on_is_measured_once_and_told_with_its_file(
    four_threads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, events = use(monkeypatch, 1.0), list[Progress]()
    with listening(events.append):
        assert [fastest_threads(), fastest_threads()] == [2, 2]
    assert len(asked) == 4
    assert list(json.loads(four_threads.read_text()).values()) == [2]
    assert [event.note for event in events] == [
        f"CPU threads: 2, the fastest number here; to measure again, remove {four_threads}"
    ]
    threads._of_this_process.cache_clear()
    assert (fastest_threads(), len(asked)) == (2, 4), "another process reads it"
    four_threads.write_text("[]")
    assert (fastest_threads(), len(asked)) == (2, 8), "a damaged file is none"


def test_a_busy_machine_is_measured_again_by_the_next_process(
    four_threads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, events = use(monkeypatch, 0.5), list[Progress]()
    with listening(events.append):
        assert [fastest_threads(), fastest_threads()] == [4, 4]
    assert (len(asked), four_threads.exists()) == (8, False)
    assert [event.note for event in events] == [
        "CPU threads: 4 for now; the machine is busy, and is measured again another time (or set train.threads)"
    ]
    threads._of_this_process.cache_clear()
    asked = use(monkeypatch, 1.0)
    assert (fastest_threads(), len(asked)) == (2, 4)
    assert four_threads.exists()


def test_nothing_is_measured_beside_a_scoring(four_threads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = use(monkeypatch, 1.0)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    with deterministic(None, shared=True):
        assert (fastest_threads(), asked) == (4, [])
    assert (fastest_threads(), four_threads.exists()) == (2, True)


def test_real_products_leave_the_number_of_threads_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_SECONDS", 0.0)
    monkeypatch.setattr(threads, "_SHAPE", (4, 4, 4))
    before = torch.get_num_threads()
    assert threads._timing()(before + 1).threads == before + 1
    assert torch.get_num_threads() == before

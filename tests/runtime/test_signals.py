"""A first signal is noted and takes effect when the work in hand is done; a second, or one while nothing is in hand, at once."""

import os
import signal
import threading

import pytest

from fintune.runtime.signals import Stopped, deferred, heed_signals


@pytest.fixture(autouse=True)
def heeded() -> object:
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    heed_signals()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def work(number: int, *, times: int = 1, in_hand: bool = True) -> list[str]:
    """A deferred block that gets signals; what it came to do is in the list."""
    with deferred() as asked:
        for _ in range(times):
            if in_hand:
                send(number)
            else:
                with asked.at_once():
                    send(number)
        DONE.append("asked" if asked() else "never asked")
    return DONE


DONE: list[str] = []


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGTERM, Stopped), (signal.SIGHUP, Stopped), (signal.SIGINT, KeyboardInterrupt)]
)
def test_the_work_in_hand_is_done_first(number: int, kind: type[BaseException]) -> None:
    DONE.clear()
    with pytest.raises(kind):
        work(number)
    assert DONE == ["asked"]


@pytest.mark.parametrize("options", [{"times": 2}, {"in_hand": False}])
def test_a_second_one_ends_it_at_once_and_so_does_the_first_where_nothing_is_in_hand(options: dict[str, int]) -> None:
    DONE.clear()
    with pytest.raises(Stopped) as caught:
        work(signal.SIGTERM, **options)  # type: ignore[arg-type]
    assert (caught.value.exit_code, DONE) == (143, [])


def test_what_the_process_was_told_to_ignore_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    heed_signals()
    send(signal.SIGHUP)
    with deferred() as asked:
        send(signal.SIGHUP)
        assert not asked()


def test_a_library_user_can_interrupt_again() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            work(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_the_block_signals_unwind_again() -> None:
    with deferred() as asked:
        pass
    assert not asked()
    with pytest.raises(Stopped):
        send(signal.SIGTERM)


def test_a_signal_nobody_heeds_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with deferred() as asked:
        send(signal.SIGTERM)
        assert not asked()


def test_other_threads_leave_the_handlers_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with deferred():
            seen.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]

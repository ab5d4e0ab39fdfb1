"""Long work reports to whoever listens, and to nobody else."""

import pytest

from fintune.runtime.progress import Progress, listening, tell, track


@pytest.fixture
def heard() -> list[Progress]:
    return []


def test_only_inside_the_block(heard: list[Progress]) -> None:
    tell("before", "lost")
    with listening(heard.append):
        assert list(track("ab", "work")) == ["a", "b"]
        tell("work", "done")
    tell("after", "lost")
    assert heard == [
        Progress("work", 0, 2),
        Progress("work", 1, 2),
        Progress("work", 2, 2),
        Progress("work", 0, 0, "done"),
    ]


def test_a_block_that_fails_stops_listening_too(heard: list[Progress]) -> None:
    with pytest.raises(ValueError, match="invalid literal"), listening(heard.append):
        list(map(int, track(["1", "x"], "work")))
    tell("after", "lost")
    assert heard == [Progress("work", 0, 2), Progress("work", 1, 2)]


def test_the_inner_listener_hears_and_the_outer_returns(heard: list[Progress]) -> None:
    inner: list[Progress] = []
    with listening(heard.append):
        with listening(inner.append):
            tell("inner", "x")
        tell("outer", "y")
    assert (inner, heard) == ([Progress("inner", note="x")], [Progress("outer", note="y")])


def test_work_given_up_never_reports_its_end(heard: list[Progress]) -> None:
    with listening(heard.append):
        for item in track([1, 2, 3], "work"):
            if item == 2:
                break
    assert heard == [Progress("work", 0, 3), Progress("work", 1, 3)]


def test_nobody_listening_changes_nothing() -> None:
    assert list(track([1, 2], "work")) == [1, 2]

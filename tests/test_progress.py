"""Long work reports to whoever listens, and to nobody else."""

from fintune.progress import Progress, listening, tell, track


def test_only_inside_the_block() -> None:
    heard: list[Progress] = []
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

"""A config in, a complete run folder out, on both kinds of model."""

import fintune


def test_a_run_learns_and_is_complete(trained: fintune.Run) -> None:
    assert trained.scores()["test"]["accuracy"].value >= 0.9

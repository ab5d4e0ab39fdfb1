"""Where the quick engine is unsure the exact one is asked, and nowhere else."""

from collections.abc import Sequence

import numpy as np

from fintune.inference.engines.fallback import FallbackEngine
from fintune.inference.engines.protocol import Ranking
from fintune.records import Prompt


class Fixed:
    """Ranks by what stands in the text: the probability of the first candidate."""

    def __init__(self, shift: float) -> None:
        self.shift = shift
        self.read: list[str] = []

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        self.read += [str(prompt) for prompt in prompts]
        first = np.array([float(str(prompt)) + self.shift for prompt in prompts])
        log = np.log(np.stack([first, 1 - first], axis=1))[:, : len(candidates)]
        return Ranking(log, np.ones(len(candidates), np.int64), np.zeros(len(prompts), np.int64))


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt.around("", text, "") for text in texts]


def test_close_calls_alone_are_read_again_and_keep_their_place() -> None:
    quick, exact = Fixed(0.02), Fixed(0.0)
    both = FallbackEngine(quick, exact, margin=0.2)
    found = both.rank(prompts("0.9", "0.49", "0.1", "0.55"), ["a", "b"]).probabilities()[:, 0]
    np.testing.assert_allclose(found, [0.92, 0.49, 0.12, 0.55])
    assert exact.read == ["0.49", "0.55"]


def test_nothing_is_read_again_where_nothing_is_close() -> None:
    quick, exact = Fixed(0.02), Fixed(0.0)
    both = FallbackEngine(quick, exact, margin=0.2)
    both.rank(prompts("0.9"), ["a", "b"])
    both.rank([], ["a", "b"])
    both.rank(prompts("0.5"), ["a"])
    assert exact.read == []


def test_where_the_quick_engine_gives_no_number_the_exact_one_is_asked() -> None:
    found = FallbackEngine(Fixed(float("nan")), Fixed(0.0), margin=0.2).rank(prompts("0.9", "0.3"), ["a", "b"])
    np.testing.assert_allclose(found.probabilities()[:, 0], [0.9, 0.3])

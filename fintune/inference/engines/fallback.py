"""A quick engine whose close calls are read again by an exact one.

What a quick engine gets wrong changes an answer only where two candidates are nearly equal, and few texts are like that.

Example:
    FallbackEngine(quick, exact, margin=0.5).rank(prompts, [" positive", " negative"]).probabilities()
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fintune.inference.engines.protocol import Engine, Ranking
from fintune.records import Prompt


@dataclass(frozen=True)
class FallbackEngine:
    """See Engine. `margin`: where the best candidate's probability leads by less, `exact` is asked.

    Threads share it as they share the two.
    """

    quick: Engine
    exact: Engine
    margin: float

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """See Engine."""
        ranking = self.quick.rank(prompts, candidates, stage=stage)
        if not (close := self._close(ranking)):
            return ranking
        again = self.exact.rank([prompts[i] for i in close], candidates, stage=f"{stage} again")
        scores = ranking.log_probability.copy()
        scores[close] = again.log_probability
        return replace(ranking, log_probability=scores)

    def write(self, prompts: Sequence[Prompt], *, stage: str = "write") -> tuple[list[str], NDArray[np.int64]]:
        """See Engine: by the exact one, as nothing says which token was a close call."""
        return self.exact.write(prompts, stage=stage)

    def _close(self, ranking: Ranking) -> list[int]:
        """Return the places of prompts whose two best candidates lie too close together."""
        if not len(ranking.cut) or len(ranking.tokens) < 2:
            return []
        best = np.sort(ranking.probabilities(), axis=1)[:, -2:]
        clear = best[:, 1] - best[:, 0] >= self.margin  # false where a number is none
        close: list[int] = np.flatnonzero(~clear).tolist()
        return close

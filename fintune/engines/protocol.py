"""What every engine promises; evaluation, prediction and serving know nothing else of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fintune.records import Prompt


@dataclass(frozen=True)
class Ranking:
    """Log-probabilities (nats) of each candidate answer, end token included, after each prompt.

    `log_probability` has shape `(prompts, candidates)`; `tokens` the length of each candidate, shape `(candidates,)`;
    `cut` the tokens left out of each prompt's text, shape `(prompts,)`.
    """

    log_probability: NDArray[np.float64]
    tokens: NDArray[np.int64]
    cut: NDArray[np.int64]

    def probabilities(self) -> NDArray[np.float64]:
        """Normalised over the candidates: each row adds up to 1."""
        weights = np.exp(self.log_probability - self.log_probability.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


class Engine(Protocol):
    """Runs one model."""

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """Score every candidate after every prompt. Raises ModelError when template and answer alone exceed the limit."""

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int = 16) -> list[str]:
        """What the model says after every prompt, to its end token or so many tokens."""

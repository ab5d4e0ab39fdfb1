"""What every engine promises; evaluation, prediction and serving know nothing else of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fintune.errors import ModelError
from fintune.models.prompts import PromptEncoder
from fintune.records import Prompt
from fintune.runtime.turns import turn


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
        """Return normalized over the candidates: each row adds up to 1."""
        weights = np.exp(self.log_probability - self.log_probability.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class RankingRequest:
    """Token ids of prompts and of candidate answers, and the tokens left out of each prompt's text."""

    prompts: list[list[int]]
    answers: list[list[int]]
    cut: list[int]

    def ranking(self, scores: NDArray[np.float64]) -> Ranking:
        """Return scores (nats) of shape `(prompts, answers)` as an engine hands them back."""
        return Ranking(scores, np.array([len(answer) for answer in self.answers]), np.array(self.cut, dtype=np.int64))


def encode_request(
    encoder: PromptEncoder, prompts: Sequence[Prompt], candidates: Sequence[str], *, first: bool
) -> RankingRequest:
    """Return what an engine is to rank, as token ids; with `first` the first tokens of the answers alone. Raises as Engine.rank does."""
    after = prompts[0].after if prompts else ""  # the template's, the same in all
    with turn(encoder.tokenizer):
        answers = [encoder.answer_ids(candidate, after)[: 1 if first else None] for candidate in candidates]
        ids, cut = encoder.encode_prompts(prompts, reserve=max(map(len, answers)))
    return RankingRequest(ids, answers, cut)


class Engine(Protocol):
    """Runs one model, for several threads at once: what a call needs belongs to the call, and what it must share it takes turns at."""

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """Score every candidate after every prompt. Raises ModelError when template and answer alone exceed the limit."""

    def write(self, prompts: Sequence[Prompt], *, stage: str = "write") -> tuple[list[str], NDArray[np.int64]]:
        """Write an answer to every prompt, the likeliest token at each place; return also the tokens left out of each prompt.

        Raises ModelError where the engine ranks alone, or as `rank` does.
        """


class RanksAlone:
    """What an engine has in place of `write` that cannot write."""

    name: str

    def write(self, prompts: Sequence[Prompt], *, stage: str = "write") -> tuple[list[str], NDArray[np.int64]]:
        """See Engine. Raises ModelError."""
        raise ModelError(
            f"{self.name} ranks answers of a closed set, and those of this task are written",
            hint="Use the run itself, or an export that transformers runs: --format merged.",
        )

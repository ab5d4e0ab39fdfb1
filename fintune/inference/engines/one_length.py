"""The engine for adapters whose answers hang on what a text is padded with: texts of one length at a time, through PEFT's own forward.

Example:
    OneLengthEngine(loaded, max_length=256).rank(prompts, candidates).probabilities()
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from warnings import catch_warnings, filterwarnings

import numpy as np

from fintune.errors import ModelError
from fintune.inference.engines.protocol import Ranking, RanksAlone, encode_request
from fintune.models import LoadedModel
from fintune.models.prompts import PromptEncoder
from fintune.records import Prompt
from fintune.runtime.library_messages import PAST_KEY_VALUES, is_out_of_memory
from fintune.runtime.progress import advance
from fintune.runtime.turns import turn

if TYPE_CHECKING:
    import torch


class OneLengthEngine(RanksAlone):
    """See Engine. With `first` the first tokens of the answers are compared and nothing else of them is read."""

    name = "an adapter whose answers hang on its padding"

    def __init__(self, loaded: LoadedModel, *, max_length: int, batch_size: int = 32, first: bool = False) -> None:
        self._loaded, self._batch_size, self._first = loaded, batch_size, first
        self._encoder = PromptEncoder(loaded.tokenizer, loaded.kind, max_length)

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """See Engine."""
        import torch

        request = encode_request(self._encoder, prompts, candidates, first=self._first)
        scores, done = np.zeros((len(request.prompts), len(request.answers))), 0
        score = self._first_tokens if self._first else self._answers
        with torch.inference_mode():
            for rows in self._alike(request.prompts):
                ids = torch.tensor([request.prompts[i] for i in rows], device=self._loaded.device)
                with turn(self._loaded.model):
                    scores[rows] = score(ids, request.answers).double().cpu().numpy()
                advance(stage, done := done + len(rows), len(request.prompts))
        return request.ranking(scores)

    def _alike(self, prompts: Sequence[list[int]]) -> Iterator[list[int]]:
        """Yield the numbers of prompts of one length, a batch at a time."""
        lengths = defaultdict(list)
        for i, ids in enumerate(prompts):
            lengths[len(ids)].append(i)
        for rows in lengths.values():
            yield from (rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size))

    def _first_tokens(self, ids: "torch.Tensor", answers: list[list[int]]) -> "torch.Tensor":
        """Return log-probabilities among the answers' first tokens alone, (n, k)."""
        logits = self._logits(ids, [])[:, -1]
        return logits[:, [answer[0] for answer in answers]].log_softmax(dim=-1)

    def _answers(self, ids: "torch.Tensor", answers: list[list[int]]) -> "torch.Tensor":
        """Return log-probabilities of whole answers, (n, k)."""
        import torch

        scores = []
        for answer in answers:
            logits = self._logits(ids, answer[:-1])[:, -len(answer) :].log_softmax(dim=-1)
            wanted = torch.tensor(answer, device=ids.device).expand(len(ids), -1)[..., None]
            scores.append(logits.gather(-1, wanted).sum(dim=(1, 2)))
        return torch.stack(scores, dim=1)

    def _logits(self, ids: "torch.Tensor", begun: list[int]) -> "torch.Tensor":
        """Return logits (n, m, vocabulary) behind prompts `(n, length)` and the beginning of an answer, vectors included."""
        import torch

        beginning = torch.tensor(begun, device=ids.device, dtype=ids.dtype).expand(len(ids), -1)
        inputs: dict[str, torch.Tensor] = {"input_ids": torch.cat([ids, beginning], dim=1)}
        if self._loaded.kind == "seq2seq":
            start = torch.full((len(ids), 1), self._loaded.model.config.decoder_start_token_id, device=ids.device)
            inputs = {"input_ids": ids, "decoder_input_ids": torch.cat([start, beginning], dim=1)}
        mask = torch.ones_like(inputs["input_ids"])
        with catch_warnings(), _in_words():
            filterwarnings("ignore", message=PAST_KEY_VALUES)
            logits: torch.Tensor = self._loaded.model(**inputs, attention_mask=mask).logits
        return logits.float()


@contextmanager
def _in_words() -> Iterator[None]:
    """Raise what PEFT's forward cannot do with a model as one line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ModelError(
            f"the adapter does not run on this base model: {reason}", hint="Use the base model it was trained on."
        ) from None

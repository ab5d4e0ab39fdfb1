"""Prompt and answer to token ids: the one place that does so, for training, evaluation and serving.

Prompt and answer are tokenised apart and joined, so an answer has the same tokens however it is reached. When a prompt is
too long, tokens leave the middle of its source text; template and answer are never cut.

>>> encoder.encode(Prompt("", "Profit rose.", "\\nSentiment:"), " positive")
Encoded(input_ids=[2, 109048, 11076, 236761, 107, 203481, 236787], labels=[4414, 1], cut=0)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fintune.errors import ModelError
from fintune.records import Encoded, Prompt, TooLong

Kind = Literal["causal", "seq2seq"]


@dataclass(frozen=True)
class PromptEncoder:
    """Tokenises for one model; `max_length` counts prompt and answer together (seq2seq: the prompt alone).

    `before` are ids of virtual tokens that stand before every prompt and do not count.
    """

    tokenizer: Any
    kind: Kind
    max_length: int
    before: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.tokenizer.is_fast or self.tokenizer.eos_token_id is None:
            raise ModelError(
                "model.base: the tokenizer is not a fast one with an end token",
                hint="Save the model with a tokenizer.json and an eos_token.",
            )

    def encode(self, prompt: Prompt, answer: str, *, first_only: bool = False) -> Encoded | TooLong:
        """Ids of a prompt and its answer, or of the answer's first token alone."""
        labels = self.answer_ids(answer)[: 1 if first_only else None]
        encoded = self.encode_prompt(prompt, reserve=len(labels))
        return encoded if isinstance(encoded, TooLong) else Encoded(encoded.input_ids, labels, encoded.cut)

    def answer_ids(self, answer: str) -> list[int]:
        """Ids of an answer, the end token last. An encoder-decoder's answer starts without the template's blank."""
        text = answer if self.kind == "causal" else answer.strip()
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id]

    def encode_prompts(self, prompts: Sequence[Prompt], *, reserve: int) -> tuple[list[list[int]], list[int]]:
        """Ids of each prompt, and the tokens that were cut from it. Raises ModelError when template and answer alone exceed the limit."""
        found = [self.encode_prompt(prompt, reserve=reserve) for prompt in prompts]
        for one in found:
            if isinstance(one, TooLong):
                raise ModelError(
                    f"model.max_length: {one.limit} tokens cannot hold template and answer ({one.needed})",
                    hint="Raise model.max_length or shorten task.prompt.",
                )
        whole = [one for one in found if isinstance(one, Encoded)]
        return [one.input_ids for one in whole], [one.cut for one in whole]

    def encode_prompt(self, prompt: Prompt, *, reserve: int) -> Encoded | TooLong:
        """Ids of a prompt with `reserve` positions left for an answer; labels are empty."""
        found = self.tokenizer(str(prompt), return_offsets_mapping=True)
        ids, spans = list(found["input_ids"]), list(found["offset_mapping"])
        if self.kind == "causal" and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids, spans = ids[:-1], spans[:-1]  # some tokenizers end every text; here the answer follows
        limit = self.max_length - (reserve if self.kind == "causal" else 0)
        excess = len(ids) - limit
        if excess <= 0:
            return Encoded([*self.before, *ids], [])
        start, stop = len(prompt.before), len(prompt.before) + len(prompt.text)
        inside = [i for i, (a, b) in enumerate(spans) if start <= a < b <= stop]
        if excess >= len(inside):
            return TooLong(needed=len(ids) - len(inside) + 1 + self.max_length - limit, limit=self.max_length)
        first, last = _middle(inside, spans, excess)
        return Encoded([*self.before, *ids[:first], *ids[last:]], [], cut=last - first)


def _middle(inside: list[int], spans: list[tuple[int, int]], excess: int) -> tuple[int, int]:
    """First and last (exclusive) token to leave out; tokens that share a character (byte fallback) stay together."""
    first = inside[(len(inside) - excess) // 2]
    last = first + excess
    while first > inside[0] and spans[first][0] < spans[first - 1][1]:
        first -= 1
    while last <= inside[-1] and spans[last][0] < spans[last - 1][1]:
        last += 1
    return first, last

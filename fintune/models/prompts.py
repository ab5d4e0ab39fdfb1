"""Prompt and answer to token ids: the one place that does so, for training, evaluation and serving.

Everything is read as letters, but for the control tokens a template writes. An answer has the ids that the text of prompt and
answer has behind the prompt's, found once a template: the same in training, ranking and behind a prompt that a program writes on.
When a prompt is too long, tokens leave the middle of those of its texts that may be shortened, the longest first; template and answer
are never cut.

Example:
    encoder.encode(Prompt.around("", "Profit rose.", "\\nSentiment:"), " positive")
    # Encoded(input_ids=[2, 109048, 11076, 236761, 107, 203481, 236787], answer_ids=[4414, 1], cut=0)
"""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from fintune.errors import ModelError
from fintune.models.letters import Letters, Read
from fintune.records import Encoded, Prompt, TooLong

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Kind = Literal["causal", "seq2seq"]
TextStretch = tuple[str, bool]
"""Characters, and whether they are the template's"""
_TEXT_ENDS = (".", ")", "0", "a", "。")
"""Characters a text may end in, where the template has nothing between it and the answer"""


@dataclass(frozen=True)
class EncodedAnswer:
    """Ids of an answer, the end token last."""

    ids: list[int]
    joined: bool = False
    """Whether its beginning would make one token with the prompt's end: they are left apart, as the prompt is read by itself"""


@dataclass(frozen=True)
class PromptEncoder:
    """Tokenizes for one model; `max_length` counts prompt and answer together (seq2seq: the prompt alone).

    `before` are ids of virtual tokens that stand before every prompt and do not count.
    """

    tokenizer: "PreTrainedTokenizerBase"
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
        """Encode a prompt and its answer, or of the answer its first token alone."""
        labels = self.answer_ids(answer, prompt.after)[: 1 if first_only else None]
        encoded = self.encode_prompt(prompt, reserve=len(labels))
        return encoded if isinstance(encoded, TooLong) else Encoded(encoded.input_ids, labels, encoded.cut)

    def answer_ids(self, answer: str, after: str) -> list[int]:
        """Return the ids of an answer behind prompts that end in the template's `after`, the end token last."""
        return list(self.answer(answer, after).ids)

    def answer(self, answer: str, after: str) -> EncodedAnswer:
        """Return an answer behind prompts that end in the template's `after`. An encoder-decoder's starts without the template's blank."""
        if (answer, after) not in self._answers:
            self._answers[answer, after] = self._answer(answer, after)
        return self._answers[answer, after]

    def _answer(self, answer: str, after: str) -> EncodedAnswer:
        end = self.tokenizer.eos_token_id
        if self.kind == "seq2seq":
            return EncodedAnswer([*self._letters.read(answer.strip())[0], end])
        for template in dict.fromkeys((after, "")):
            for text in _TEXT_ENDS:
                if ids := self._behind([(text, False), (template, True)], answer):
                    return EncodedAnswer([*ids, end], joined=template != after)
        return EncodedAnswer([*self._letters.read(answer)[0], end], joined=True)

    def _behind(self, prompt: Sequence[TextStretch], answer: str) -> list[int]:
        """Return what stands behind a prompt's ids when its answer is read with it; nothing where a token reaches over the seam."""
        before, (whole, spans) = self._read(prompt)[0], self._read([*prompt, (answer, False)])
        count, seam = len(before), sum(len(text) for text, _ in prompt)
        apart = whole[:count] == before and (count == 0 or spans[count - 1][1] <= seam)
        return whole[count:] if apart else []

    def encode_prompts(self, prompts: Sequence[Prompt], *, reserve: int) -> tuple[list[list[int]], list[int]]:
        """Return the ids of each prompt, and how many were cut from it. Raises ModelError when template and answer alone are too long."""
        encoded = [self.encode_prompt(prompt, reserve=reserve) for prompt in prompts]
        for row in encoded:
            if isinstance(row, TooLong):
                raise ModelError(
                    f"model.max_length: {row.limit} tokens cannot hold template and answer ({row.needed})",
                    hint="Raise model.max_length or shorten task.prompt.",
                )
        whole = [row for row in encoded if isinstance(row, Encoded)]
        return [row.input_ids for row in whole], [row.cut for row in whole]

    def encode_prompt(self, prompt: Prompt, *, reserve: int) -> Encoded | TooLong:
        """Encode a prompt with `reserve` positions left for an answer; answer_ids are empty."""
        ids, spans = self._framed(self._read(_stretches(prompt)))
        limit = self.max_length - (reserve if self.kind == "causal" else 0)
        excess = len(ids) - limit
        if excess <= 0:
            return Encoded([*self.before, *ids], [])
        inside = _of_shortened(prompt, spans)
        if excess > sum(len(places) - 1 for places in inside):
            whole = sum(max(0, len(places) - 1) for places in inside)
            return TooLong(needed=len(ids) - whole + self.max_length - limit, limit=self.max_length)
        gone: set[int] = set()
        for places, shares in zip(inside, _shares([len(places) for places in inside], excess), strict=True):
            if shares:
                gone |= set(range(*_middle(places, spans, shares)))
        kept = [token for i, token in enumerate(ids) if i not in gone]
        return Encoded([*self.before, *kept], [], cut=len(gone))

    def length(self, prompts: Sequence[Prompt]) -> int:
        """Count the tokens of prompts that stand one behind the other, without what the tokenizer puts around a text."""
        return len(self._read([stretch for prompt in prompts for stretch in _stretches(prompt)])[0])

    def _read(self, stretches: Sequence[TextStretch]) -> Read:
        """Return the ids of stretches of text: each between the template's control tokens is read as a whole, those come by id."""
        whole, ids, spans, place = "".join(text for text, _ in stretches), [], [], 0
        for start, stop, token in [*self._marks(stretches, whole), (len(whole), len(whole), None)]:
            own, own_spans = self._letters.read(whole[place:start], inner=place > 0) if start > place else ([], [])
            ids += own if token is None else [*own, token]
            spans += [(place + a, place + b) for a, b in own_spans]
            spans += [] if token is None else [(start, stop)]
            place = stop
        return ids, spans

    def _framed(self, read: Read) -> Read:
        """Surround with what the tokenizer puts around every text; a beginning the template writes itself is not doubled."""
        (ids, spans), (before, behind) = read, self._letters.frame
        if before and ids[: len(before)] == before:
            before = []
        if self.kind == "causal" and behind[-1:] == [self.tokenizer.eos_token_id]:
            behind = behind[:-1]  # some tokenizers end every text; here the answer follows
        return [*before, *ids, *behind], [*((0, 0) for _ in before), *spans, *((0, 0) for _ in behind)]

    def _marks(self, stretches: Sequence[TextStretch], whole: str) -> Iterator[tuple[int, int, int]]:
        """Find where the template writes control tokens: first character, end, id; with blanks such a token takes in."""
        place = done = 0
        for text, templates in stretches:
            for match in self._control_in(text) if templates else ():
                start, stop, token = place + match.start(), place + match.end(), self._letters.control[match.group()]
                added = self._letters.added[token]
                while added.lstrip and start > done and whole[start - 1].isspace():
                    start -= 1
                while added.rstrip and stop < len(whole) and whole[stop].isspace():
                    stop += 1
                yield start, stop, token
                done = stop
            place += len(text)

    def _control_in(self, template: str) -> list[re.Match[str]]:
        """Find the control tokens in a stretch of the template, the longest where several begin."""
        if template not in self._templates:
            names = sorted((name for name in self._letters.control if name in template), key=len, reverse=True)
            pattern = "|".join(map(re.escape, names))
            self._templates[template] = list(re.finditer(pattern, template)) if names else []
        return self._templates[template]

    @cached_property
    def _letters(self) -> Letters:
        return Letters(self.tokenizer)

    @cached_property
    def _answers(self) -> dict[tuple[str, str], EncodedAnswer]:
        return {}

    @cached_property
    def _templates(self) -> dict[str, list[re.Match[str]]]:
        return {}


def _stretches(prompt: Prompt) -> list[TextStretch]:
    return [(text, kind == "template") for part in (*prompt.shown, prompt) for text, kind in part.pieces]


def _of_shortened(prompt: Prompt, spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the tokens inside each piece that may be shortened."""
    place, inside = len(str(prompt)) - sum(len(text) for text, _ in prompt.pieces), []
    for text, kind in prompt.pieces:
        if kind == "shortened":
            inside.append([i for i, (a, b) in enumerate(spans) if place <= a < b <= place + len(text)])
        place += len(text)
    return inside


def _shares(lengths: Sequence[int], excess: int) -> list[int]:
    """Return how many tokens each text gives, so many in all: what is above a level that all keep."""
    keep = sum(lengths) - excess
    level = bisect(range(max(lengths)), keep, key=lambda level: sum(min(length, level) for length in lengths)) - 1
    kept = [min(length, level) for length in lengths]
    for i in [i for i, length in enumerate(lengths) if length > level][: keep - sum(kept)]:
        kept[i] += 1
    return [length - own for length, own in zip(lengths, kept, strict=True)]


def _middle(inside: list[int], spans: list[tuple[int, int]], excess: int) -> tuple[int, int]:
    """Return the first and last (exclusive) token to leave out; tokens that share a character (byte fallback) stay together."""
    first = inside[(len(inside) - excess) // 2]
    last = first + excess
    while first > inside[0] and spans[first][0] < spans[first - 1][1]:
        first -= 1
    while last <= inside[-1] and spans[last][0] < spans[last - 1][1]:
        last += 1
    return first, last

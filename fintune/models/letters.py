"""Text to token ids as letters alone: a control token (end of text, turn of a chat) that is written in a text is spelled.

Only a template's own control tokens are obeyed (prompts.py). Added tokens that are mere words to their tokenizer (runs of blanks,
`<table>`) are matched in every text, as the model learned them.

Example:
    Letters(tokenizer).read("a <eos>")
    # ([236746, 655, 211827, 236813], [(0, 1), (1, 3), (3, 6), (6, 7)])
"""

import json
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedTokenizerBase

Read = tuple[list[int], list[tuple[int, int]]]
"""Ids, and the characters `[start, end)` each stands for"""


class Letters:
    """A tokenizer that reads every text as letters."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._variants: dict[tuple[bool, bool], Tokenizer] = {}

    def read(self, text: str, *, inner: bool = False) -> Read:
        """Return the ids of a text, nothing around them; `inner`: it goes on behind a control token, and is no beginning."""
        apart = inner and self._marks_beginnings
        ids, spans = self._varied(text, inner=True, spelled=False) if apart else self._plain(text)
        unknown = self._tokenizer.unk_token
        if self._barred.isdisjoint(ids) and (unknown not in self.control or unknown not in text):
            return ids, spans
        return self._varied(text, inner=apart, spelled=True)

    @cached_property
    def added(self) -> "dict[int, AddedToken]":
        """Tokens beside the model's pieces, by id."""
        return dict(self._tokenizer.added_tokens_decoder)

    @cached_property
    def control(self) -> dict[str, int]:
        """Ids of the tokens no text may reach: those the tokenizer calls special, and those its chat template writes."""
        chats = str(getattr(self._tokenizer, "chat_template", None) or "")
        named = {token.content: i for i, token in self.added.items() if token.special or token.content in chats}
        return {content: i for content, i in named.items() if len(content.strip()) > 1}  # "!" as <pad> is a letter too

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """Ids the tokenizer puts before and behind every text."""
        encoding = self._tokenizer("a", return_special_tokens_mask=True)
        ids, mask = list(encoding["input_ids"]), [*encoding["special_tokens_mask"], 0]
        start = mask.index(0)
        return ids[:start], ids[start + mask[:-1].count(0) :]

    @cached_property
    def _barred(self) -> set[int]:
        """The unknown token is not one of them: it stands for letters."""
        return {i for content, i in self.control.items() if content != self._tokenizer.unk_token}

    @cached_property
    def _marks_beginnings(self) -> bool:
        """Whether a blank is put before the first text alone, as LLaMA's and Mistral's tokenizers do."""
        splitter = self._tokenizer.backend_tokenizer.pre_tokenizer
        return splitter is not None and b'"prepend_scheme":"first"' in splitter.__getstate__()

    @cached_property
    def _ids_of_added(self) -> dict[str, int]:
        return {token.content: i for i, token in self.added.items()}

    def _plain(self, text: str) -> Read:
        encoding = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        return list(encoding["input_ids"]), list(encoding["offset_mapping"])

    def _varied(self, text: str, *, inner: bool, spelled: bool) -> Read:
        """As a tokenizer reads it that was changed for this, which may have numbered its added tokens anew."""
        if (key := (inner, spelled)) not in self._variants:
            self._variants[key] = self._variant(inner=inner, spelled=spelled)
        encoding, added = self._variants[key].encode(text, add_special_tokens=False), self._ids_of_added
        ids = [added.get(token, i) for token, i in zip(encoding.tokens, encoding.ids, strict=True)]
        return ids, list(encoding.offsets)

    def _variant(self, *, inner: bool, spelled: bool) -> "Tokenizer":
        from tokenizers import Tokenizer

        rules = json.loads(self._tokenizer.backend_tokenizer.to_str())
        rules |= {"post_processor": None, "decoder": None, "truncation": None, "padding": None}
        rules["added_tokens"] = [token for token in rules["added_tokens"] if token["content"] not in self.control]
        if inner:
            rules["pre_tokenizer"] = _never_prepending(rules["pre_tokenizer"])
        if spelled:
            rules["model"] = _without(rules["model"], self.control)
        return Tokenizer.from_str(json.dumps(rules))


def _never_prepending(splitter: Mapping[str, Any]) -> dict[str, Any]:
    if inside := splitter.get("pretokenizers"):
        return {**splitter, "pretokenizers": [_never_prepending(one) for one in inside]}
    return {**splitter, "prepend_scheme": "never"} if "prepend_scheme" in splitter else dict(splitter)


def _without(model: Mapping[str, Any], control: Mapping[str, int]) -> dict[str, Any]:
    """Rules that give no piece of `control`: such a piece gets a name that no text holds, and keeps its number.

    Unigrams find their control pieces in letters, and so do merges made of a vocabulary.
    """
    secret = secrets.token_hex(16)
    name = {content: f"{content}{secret}" for content in control}
    changed, vocabulary = dict(model), model["vocab"]
    if isinstance(vocabulary, Mapping):
        changed["vocab"] = {name.get(piece, piece): i for piece, i in vocabulary.items()}
    else:
        changed["vocab"] = [[name.get(piece, piece), score] for piece, score in vocabulary]
    if "merges" in model:
        changed["merges"] = [(a, b) for a, b in model["merges"] if not {a, b, a + b} & control.keys()]
    if model.get("unk_token") in name:
        changed["unk_token"] = name[model["unk_token"]]
    return changed

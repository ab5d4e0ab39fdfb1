"""Which tokens a task needs, so that its texts are still cut into the same ones.

BPE applies merges in the order of their rank. If every token that a text ends in is kept, and with each token both parts of
every merge that can make it, then all merges of that text are kept and each is still the first that applies: the same tokens
come out. Of a Unigram model the best cut is the best of fewer.

Example:
    kept = needed(rules, {"▁profit", "▁rose"})
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fintune.errors import ModelError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_KNOWN = ("BPE", "Unigram")


@dataclass(frozen=True)
class Rules:
    """A tokenizer.json, parsed: `ids` of all its tokens, `merges` of a BPE (empty for Unigram)."""

    content: Mapping[str, Any]
    ids: Mapping[str, int]
    merges: list[tuple[str, str]]

    @property
    def kind(self) -> str:
        """BPE or Unigram."""
        return str(self.content["model"]["type"])


def parse(text: str) -> Rules:
    """Parse a tokenizer.json. Raises ModelError when it is of a kind that cannot be trimmed."""
    content = json.loads(text)
    model = content["model"]
    if model["type"] not in _KNOWN:
        raise ModelError(
            f"tokenizer.json: a {model['type']} tokenizer cannot be trimmed", hint=f"{' and '.join(_KNOWN)} can."
        )
    vocabulary = model["vocab"]
    ids = dict(vocabulary) if model["type"] == "BPE" else {token: i for i, (token, _) in enumerate(vocabulary)}
    ids |= {token["content"]: token["id"] for token in content["added_tokens"]}
    return Rules(content, ids, [_pair(merge) for merge in model.get("merges", ())])


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def needed(rules: Rules, used: Iterable[str]) -> set[str]:
    """Return the tokens to keep: those used, single bytes and digits, and whatever merges make them of."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for left, right in rules.merges:
        parts.setdefault(left + right, []).append((left, right))
    kept: set[str] = set()
    open_ = [*used, *(token for token in rules.ids if _always(rules, token))]
    if rules.kind == "Unigram" and rules.content["model"].get("unk_id") is not None:
        open_.append(rules.content["model"]["vocab"][rules.content["model"]["unk_id"]][0])
    while open_:
        token = open_.pop()
        if token not in kept:
            kept.add(token)
            open_ += [part for pair in parts.get(token, ()) for part in pair]
    return kept & rules.ids.keys()


def _always(rules: Rules, token: str) -> bool:
    """Tell bytes (named, or as the characters that stand for them in a byte-level tokenizer) and digits, with a blank or without."""
    if _BYTE.fullmatch(token) or token == rules.content["model"].get("unk_token"):
        return True
    bare = token.removeprefix("▁").removeprefix("Ġ")
    return (len(bare) == 1 and bare.isdecimal() and bare.isascii()) or (
        len(token) == 1 and token in _byte_alphabet(rules)
    )


def _byte_alphabet(rules: Rules) -> frozenset[str]:
    from tokenizers import pre_tokenizers

    return (
        frozenset(pre_tokenizers.ByteLevel.alphabet())
        if "ByteLevel" in json.dumps(rules.content["pre_tokenizer"])
        else frozenset()
    )

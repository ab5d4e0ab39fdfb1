"""A tokenizer as llama.cpp's metadata: tokens with their types, merges or scores, special ids.

Three sorts: "gpt2", pieces of bytes with merges (Qwen, LLaMA 3); "llama", merges by score (Gemma, LLaMA 2); "t5", unigrams.
"""

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.models.gguf_file import WHOLE_WORDS

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedTokenizerBase

_SPACE_IN_FRONT = ('"Prepend"', '"prepend_scheme": "first"', '"prepend_scheme": "always"')
Pieces = tuple[dict[int, str], dict[int, float]]
"""Tokens and scores by id."""
_NORMAL, _UNKNOWN, _CONTROL, _OWN, _UNUSED, _BYTE = range(1, 7)
_RANKS = {_CONTROL: -1000.0, _OWN: -1000.0, _UNUSED: -10000.0}
"""Scores of what no text is cut into, as llama.cpp's converter has them."""


def write(writer: "GGUFWriter", tokenizer: "PreTrainedTokenizerBase", rows: int) -> None:
    """Add a tokenizer, filled up to the embedding's rows. Raises ModelError for one llama.cpp has no sort for."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    sort = _sort(content)
    writer.add_tokenizer_model(sort)
    tokens, scores = {"t5": _unigrams, "gpt2": _byte_pieces, "llama": _by_score}[sort](writer, content)
    added = {token["id"]: token for token in content["added_tokens"]}
    tokens |= {i: token["content"] for i, token in added.items()}
    unknown = _unknown(
        content["model"], tokens
    )  # what follows is as long as the embedding, or llama.cpp does not load it
    types = [_type(tokens.get(i), added.get(i), i == unknown, sort) for i in range(rows)]
    writer.add_token_list([_spelled(tokens.get(i, f"[PAD{i}]"), kind, sort) for i, kind in enumerate(types)])
    writer.add_token_types(types)
    if scores:
        writer.add_token_scores([_RANKS.get(kind, scores.get(i, 0.0)) for i, kind in enumerate(types)])
    _add_special(writer, tokenizer, rows)


def need_unigrams(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Refuse another tokenizer than T5's: what reads a T5 out of a .gguf takes its tokens for unigrams. Raises ModelError."""
    if (kind := json.loads(tokenizer.backend_tokenizer.to_str())["model"]["type"]) != "Unigram":
        raise ModelError(
            f"--format gguf: a T5 has a unigram tokenizer there, and this one is {kind}", hint="Use --format merged."
        )


def _sort(content: Mapping[str, Any]) -> str:
    model = content["model"]
    if model["type"] == "Unigram":
        return "t5"
    if model["type"] == "BPE" and "ByteLevel" in _steps(content):
        return "gpt2"
    if model["type"] == "BPE" and model.get("byte_fallback"):
        return "llama"
    raise ModelError(
        f"--format gguf: llama.cpp has no {model['type']} tokenizer like this one", hint="Use --format merged."
    )


def _steps(content: Mapping[str, Any]) -> str:
    """Return what happens to a text before its pieces are looked up, as text to search in."""
    return json.dumps([content.get("normalizer"), content.get("pre_tokenizer")]).replace("\\\\", "\\")


def _unknown(model: Mapping[str, Any], tokens: Mapping[int, str]) -> int | None:
    by_name = next((i for i, token in tokens.items() if token == model.get("unk_token")), None)
    unknown: int | None = model.get("unk_id", by_name)
    return unknown


def _byte_pieces(writer: "GGUFWriter", content: Mapping[str, Any]) -> Pieces:
    model = content["model"]
    writer.add_tokenizer_pre(_split(content))
    writer.add_token_merges([" ".join(_pair(merge)) for merge in model["merges"]])
    return {i: token for token, i in model["vocab"].items()}, {}


def _split(content: Mapping[str, Any]) -> str:
    """Return what llama.cpp calls the way a text is split before pieces are merged. Raises ModelError for one it may not have."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    *splits, level = _sequence(content, "pre_tokenizer")
    known = {theirs: name for name, theirs in reversed(GGUF_PRE_TOKENIZER_SPLITS.items())}
    regex = splits[0]["pattern"].get("Regex") if [step["type"] for step in splits] == ["Split"] else None
    name = "gpt-2" if not splits and level.get("use_regex", True) else known.get(str(regex))
    as_there = not level["add_prefix_space"] and level.get("use_regex", True) == (not splits)
    if name is None or not as_there or content["model"].get("ignore_merges", False) != (name in WHOLE_WORDS):
        raise ModelError(
            "--format gguf: this tokenizer splits texts in a way that llama.cpp may not", hint="Use --format merged."
        )
    return name


def _sequence(content: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    """Return the steps of a normalizer or pre_tokenizer."""
    step = content.get(part)
    return [] if step is None else list(step.get("normalizers", step.get("pretokenizers", [step])))


def _by_score(writer: "GGUFWriter", content: Mapping[str, Any]) -> Pieces:
    """Return pieces with scores: what SentencePiece merges first has the largest; the order of the merges says so."""
    model = content["model"]
    scores: dict[int, float] = {}
    for place, (left, right) in enumerate(map(_pair, model["merges"])):
        scores.setdefault(model["vocab"][left + right], -float(place))
    least = -float(len(model["merges"]))
    writer.add_tokenizer_pre("default")
    writer.add_add_space_prefix(any(mark in _steps(content) for mark in _SPACE_IN_FRONT))
    return {i: token for token, i in model["vocab"].items()}, {i: scores.get(i, least) for i in model["vocab"].values()}


def _unigrams(writer: "GGUFWriter", content: Mapping[str, Any]) -> Pieces:
    steps = [*_sequence(content, "normalizer"), *_sequence(content, "pre_tokenizer")]
    charsmap = next((step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"), None)
    if not charsmap:  # llama.cpp then takes a line's end for a character, which transformers takes for a space
        raise ModelError(
            "--format gguf: this tokenizer has no SentencePiece normalization", hint="Use --format merged."
        )
    writer.add_precompiled_charsmap(base64.b64decode(charsmap))
    writer.add_add_space_prefix(any(mark in _steps(content) for mark in _SPACE_IN_FRONT))
    blanks = any(step.get("pattern") == {"Regex": " {2,}"} for step in steps)
    writer.add_remove_extra_whitespaces(blanks or any(step["type"] == "WhitespaceSplit" for step in steps))
    pieces = list(enumerate(content["model"]["vocab"]))
    return {i: piece for i, (piece, _) in pieces}, {i: score for i, (_, score) in pieces}


def _spelled(token: str, kind: int, sort: str) -> str:
    """Return a token as llama.cpp has it: what is matched in the text itself has blanks there."""
    return token.replace("▁", " ") if kind == _OWN and sort == "llama" else token


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def _type(token: str | None, added: Mapping[str, Any] | None, unknown: bool, sort: str) -> int:
    if token is None:
        return _UNUSED
    if unknown:
        return _UNKNOWN
    if added is not None:
        return _CONTROL if added["special"] else _OWN
    return _BYTE if sort != "gpt2" and len(token) == 6 and token.startswith("<0x") else _NORMAL


def _add_special(writer: "GGUFWriter", tokenizer: "PreTrainedTokenizerBase", rows: int) -> None:
    for name, add in {
        "bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id, "unk": writer.add_unk_token_id, "pad": writer.add_pad_token_id,
    }.items():  # fmt: skip
        if (token := getattr(tokenizer, f"{name}_token_id", None)) is not None and token < rows:
            add(token)
    ids = tokenizer("a").input_ids
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(tokenizer.eos_token_id is not None and ids[-1] == tokenizer.eos_token_id)

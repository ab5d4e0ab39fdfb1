"""A tokenizer as llama.cpp's metadata: tokens with their types, merges or scores, special ids.

Three sorts: "gpt2", pieces of bytes with merges (Qwen, LLaMA 3); "llama", merges by score (Gemma, LLaMA 2); "t5", unigrams.
"""

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError

if TYPE_CHECKING:
    from gguf import GGUFWriter

_SPLITS = {"\\p{N}{1,3}": "llama-bpe", "|\\p{N}|": "qwen2"}
"""how llama.cpp calls the split of a text before its pieces are merged, by what tells its regex apart"""
_NORMAL, _UNKNOWN, _CONTROL, _OWN, _UNUSED, _BYTE = range(1, 7)


def write(writer: "GGUFWriter", tokenizer: Any, rows: int) -> None:
    """Add it, filled up to the embedding's rows. Raises ModelError for one llama.cpp has no sort for."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model, added = content["model"], {token["id"]: token for token in content["added_tokens"]}
    steps = json.dumps([content.get("normalizer"), content.get("pre_tokenizer")])
    if model["type"] == "Unigram":
        sort, (tokens, scores) = "t5", _unigrams(model)
        _add_unigram_steps(writer, content)
    elif model["type"] == "BPE" and "ByteLevel" in steps:
        sort, tokens, scores = "gpt2", {i: token for token, i in model["vocab"].items()}, {}
        writer.add_tokenizer_pre(
            next((name for mark, name in _SPLITS.items() if mark in _patterns(content)), "default")
        )
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    elif model["type"] == "BPE" and model.get("byte_fallback"):
        sort, tokens = "llama", {i: token for token, i in model["vocab"].items()}
        scores = _scores(model)
        writer.add_tokenizer_pre("default")
        writer.add_add_space_prefix(
            "Prepend" in steps or '"prepend_scheme": "first"' in steps or '"prepend_scheme": "always"' in steps
        )
    else:
        raise ModelError(
            f"--format gguf: llama.cpp has no {model['type']} tokenizer like this one", hint="Use --format merged."
        )
    tokens |= {i: token["content"] for i, token in added.items()}
    numbers = range(max(rows, max(tokens) + 1))
    writer.add_tokenizer_model(sort)
    writer.add_token_list([tokens.get(i, f"[PAD{i}]") for i in numbers])
    writer.add_token_types(
        [_type(tokens.get(i), added.get(i), i == model.get("unk_id"), model.get("unk_token"), sort) for i in numbers]
    )
    if sort != "gpt2":
        writer.add_token_scores([scores.get(i, 0.0) for i in numbers])
    _add_special(writer, tokenizer)


def _type(
    token: str | None, added: Mapping[str, Any] | None, unknown: bool, unknown_token: str | None, sort: str
) -> int:
    if token is None:
        return _UNUSED
    if unknown or token == unknown_token:
        return _UNKNOWN
    if added is not None:
        return _CONTROL if added["special"] else _OWN
    return _BYTE if sort != "gpt2" and len(token) == 6 and token.startswith("<0x") else _NORMAL


def _patterns(content: Mapping[str, Any]) -> str:
    return json.dumps(content.get("pre_tokenizer")).replace("\\\\", "\\")


def _unigrams(model: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, float]]:
    pieces = dict(enumerate(model["vocab"]))
    return {i: piece for i, (piece, _) in pieces.items()}, {i: score for i, (_, score) in pieces.items()}


def _scores(model: Mapping[str, Any]) -> dict[int, float]:
    """What SentencePiece merges first has the largest score; the order of the merges says so."""
    scores: dict[int, float] = {}
    for place, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        scores.setdefault(model["vocab"][left + right], -float(place))
    least = -float(len(model["merges"]))
    return {i: scores.get(i, least) for i in model["vocab"].values()}


def _add_unigram_steps(writer: "GGUFWriter", content: Mapping[str, Any]) -> None:
    steps = (content.get("normalizer") or {}).get("normalizers", [content.get("normalizer") or {}])
    charsmap = next((step["precompiled_charsmap"] for step in steps if step.get("type") == "Precompiled"), None)
    if charsmap:
        writer.add_precompiled_charsmap(base64.b64decode(charsmap))
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(any(step.get("type") in ("Strip", "Replace") for step in steps))


def _add_special(writer: "GGUFWriter", tokenizer: Any) -> None:
    for name, add in {
        "bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id, "unk": writer.add_unk_token_id, "pad": writer.add_pad_token_id,
    }.items():  # fmt: skip
        if (found := getattr(tokenizer, f"{name}_token_id", None)) is not None:
            add(found)
    ids = tokenizer("a").input_ids
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(tokenizer.eos_token_id is not None and ids[-1] == tokenizer.eos_token_id)

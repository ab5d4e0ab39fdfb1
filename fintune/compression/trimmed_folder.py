"""A trimmed model as a folder, and the proof that it is the model it was made from."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fintune.compression.tokenizer_file import renumbered, trimmed
from fintune.compression.vocabulary import Rules, needed, parse
from fintune.compression.weights import cut
from fintune.errors import ModelError
from fintune.models.blocks import input_embedding, unwrap
from fintune.models.prompts import PromptEncoder
from fintune.records import Prompt
from fintune.runtime.progress import advance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fintune.models import LoadedModel

    Logits: TypeAlias = NDArray[np.float32]

_STALE = ("vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "added_tokens.json")
"""Files of other formats that would still hold the whole vocabulary"""
_COMPARED = 32
"""Texts whose logits are compared"""
TOLERANCE = 1e-5
"""Difference allowed of logits, relative to the largest, and of probabilities."""


@dataclass(frozen=True)
class KeptTokens:
    """The tokens that stay, and the new id of each old one."""

    rules: Rules
    tokens: set[str]
    ids: Mapping[int, int]


def choose(loaded: "LoadedModel", sequences: Sequence[Sequence[int]]) -> KeptTokens:
    """Return what these token sequences and the model's own special tokens need."""
    rules = parse(loaded.tokenizer.backend_tokenizer.to_str())
    names = {i: token for token, i in rules.ids.items()}
    used = {names[i] for ids in sequences for i in ids} | {names[i] for i in _special(loaded) if i in names}
    tokens = needed(rules, used)
    ids, rows = renumbered(rules, tokens), int(input_embedding(loaded.model).weight.shape[0])
    if max(ids) >= rows:
        raise ModelError(
            f"model.base: its tokenizer has a token {max(ids)}, its embedding {rows} rows",
            hint="Use a model whose tokenizer fits it.",
        )
    return KeptTokens(rules, tokens, ids)


def _special(loaded: "LoadedModel") -> set[int]:
    tokenizer, config = loaded.tokenizer, unwrap(loaded.model).config
    named: list[object] = [tokenizer.all_special_ids]  # what is declared special comes back when a tokenizer is loaded
    for source in (config, config.get_text_config(), getattr(loaded.model, "generation_config", None)):
        names = ("pad", "bos", "eos", "decoder_start", "forced_bos", "forced_eos")
        named += [getattr(source, f"{name}_token_id", None) for name in names]
    flat = [i for value in named for i in (value if isinstance(value, list) else [value])]
    return {i for i in flat if isinstance(i, int)}


def write(loaded: "LoadedModel", kept: KeptTokens, folder: Path) -> None:
    """Cut the model in place and save it with its tokenizer."""
    model = unwrap(loaded.model)
    cut(model, list(kept.ids), kept.ids)
    model.config._name_or_path = folder.name
    model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(trimmed(kept.rules, kept.tokens, kept.ids), encoding="utf-8")
    for name in _STALE:
        (folder / name).unlink(missing_ok=True)
    _renumber_tokens(folder / "tokenizer_config.json", kept.ids)


def _renumber_tokens(path: Path, ids: Mapping[int, int]) -> None:
    settings = json.loads(path.read_text(encoding="utf-8"))
    if "added_tokens_decoder" in settings:
        named = settings["added_tokens_decoder"]
        settings["added_tokens_decoder"] = {str(ids[int(i)]): token for i, token in named.items() if int(i) in ids}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")


def read_whole(loaded: "LoadedModel", texts: Sequence[Prompt]) -> list[list[int]]:
    """Return the token ids of texts as training reads them, none cut."""
    return PromptEncoder(loaded.tokenizer, loaded.kind, sys.maxsize).encode_prompts(texts, reserve=0)[0]


def logits_of(loaded: "LoadedModel", sequences: Sequence[Sequence[int]]) -> "list[Logits]":
    """Return the logits at the last position of each sequence (of an encoder-decoder: of its first answer token)."""
    import torch

    logits = []
    with torch.inference_mode():
        for ids in sequences[:_COMPARED]:
            inputs = {"input_ids": torch.tensor([list(ids)], device=loaded.device)}
            if loaded.kind == "seq2seq":
                start = loaded.model.config.decoder_start_token_id
                inputs["decoder_input_ids"] = torch.tensor([[start]], device=loaded.device)
            logits.append(loaded.model(**inputs, use_cache=False).logits[0, -1].float().cpu().numpy())
    return logits


def prove(
    made: "LoadedModel",
    kept: KeptTokens,
    texts: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    logits: "Sequence[Logits]",
) -> dict[str, float]:
    """Return the largest differences between the trimmed model and the whole one. Raises ModelError when they are not the same model."""
    for number, (ids, own) in enumerate(zip(sequences, read_whole(made, texts), strict=True)):
        if [kept.ids.get(i) for i in ids] != own:
            raise ModelError(
                f"text {number + 1} is cut into other tokens than before: {str(texts[number])[:60]!r}",
                hint="This tokenizer has rules FinTune does not know: use the whole model.",
            )
        advance("verify", number + 1, len(texts))
    rows = int(input_embedding(made.model).weight.shape[0])
    if len(made.tokenizer) > rows:
        raise ModelError(
            f"the trimmed tokenizer has {len(made.tokenizer)} tokens, the embedding {rows} rows",
            hint="This tokenizer adds tokens when it is loaded: use the whole model.",
        )
    old = list(kept.ids)
    pairs = [
        (a[old], b) for a, b in zip(logits, logits_of(made, [[kept.ids[i] for i in s] for s in sequences]), strict=True)
    ]
    logit = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    probability = max(float(np.abs(_softmax(a) - _softmax(b)).max()) for a, b in pairs)
    if not max(logit, probability) <= TOLERANCE:
        raise ModelError(
            f"the trimmed model's answers differ: logits by {logit:.1e} of the largest, probabilities by {probability:.1e}",
            hint=f"{TOLERANCE:g} is allowed; use the whole model.",
        )
    return {"texts": len(texts), "logits": logit, "probabilities": probability, "compared": len(pairs)}


def _softmax(logits: "Logits") -> "Logits":
    weights: Logits = np.exp(logits - logits.max())
    shares: Logits = weights / weights.sum()
    return shares

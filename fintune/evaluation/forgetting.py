"""What a model has forgotten: the rise of its perplexity on general text it was not tuned for.

The text is our own (general.txt: everyday English and Chinese, no finance). Causal models alone: an encoder-decoder was
taught to fill gaps, or to answer, not to write such text on, so a perplexity of it would measure what it never could.

Example:
    perplexity_on(load_base(config), general_texts())
    # Perplexity(value=54.8, tokens=3539)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from fintune.models.batches import pad
from fintune.models.blocks import unwrap
from fintune.runtime.cache import key_of, remembered
from fintune.runtime.environment import arithmetic
from fintune.runtime.progress import advance
from fintune.tasks.metrics import perplexity

if TYPE_CHECKING:
    import torch

    from fintune.models import LoadedModel

_LOGITS_BUDGET = 64_000_000
"""Logits held at a time (floats), as in scoring; a batch is of one text at least."""
_LONGEST = 256
"""Tokens read of a text."""


@dataclass(frozen=True)
class Perplexity:
    """The exponential of the mean negative log-likelihood of a token, over so many tokens."""

    value: float
    tokens: int


def general_texts() -> list[str]:
    """Return the paragraphs of general.txt."""
    lines = files("fintune.evaluation").joinpath("general.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def perplexity_on(loaded: "LoadedModel", texts: Sequence[str], *, stage: str = "forgetting") -> Perplexity:
    """Return the perplexity of the tokens that follow each text's first one, under a causal model."""
    import torch

    vocabulary = int(loaded.model.get_output_embeddings().weight.shape[0])
    ids = sorted((_encoded(loaded, text) for text in texts), key=len, reverse=True)
    loss, tokens, start = 0.0, 0, 0
    with torch.inference_mode():
        while start < len(ids):
            batch = ids[start : start + max(1, _LOGITS_BUDGET // (len(ids[start]) * vocabulary))]
            loss += float(_losses(loaded, batch))
            tokens += sum(len(row) - 1 for row in batch)
            start += len(batch)
            advance(stage, start, len(ids))
    return Perplexity(perplexity(loss / max(tokens, 1)), tokens)


def base_perplexity(loaded: "LoadedModel", texts: Sequence[str]) -> Perplexity:
    """Return the same for a base model as it is: measured once on a machine, and remembered."""
    quantization = getattr(loaded.model.config, "quantization_config", None)
    facts = [loaded.sha256, str(loaded.model.dtype), quantization, list(texts), arithmetic()]
    value = remembered("perplexities.json", key_of(facts), lambda: perplexity_on(loaded, texts).value)
    return Perplexity(value, sum(len(_encoded(loaded, text)) - 1 for text in texts))


def _encoded(loaded: "LoadedModel", text: str) -> list[int]:
    """Return the tokens of a text, without the end token that some tokenizers set."""
    ids: list[int] = loaded.tokenizer(text)["input_ids"]
    return (ids[:-1] if ids[-1] == loaded.tokenizer.eos_token_id else ids)[:_LONGEST]


def _losses(loaded: "LoadedModel", batch: Sequence[list[int]]) -> "torch.Tensor":
    """Return the summed negative log-likelihood (nats). Padding stands behind the texts, where no token of theirs sees it."""
    from torch.nn.functional import cross_entropy

    from fintune.models.virtual_tokens import virtual_ids

    before = virtual_ids(unwrap(loaded.model))
    rows = [[*before, *row] for row in batch]
    ids, mask = (t.to(loaded.device) for t in pad(rows, loaded.tokenizer.pad_token_id, "right"))
    logits = loaded.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, len(before) :]
    ids, mask = ids[:, len(before) :], mask[:, len(before) :]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    return cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten(), reduction="sum").double()

"""Token ids to padded tensors, for both kinds of model.

For causal models the batch names the positions that predict answer tokens: logits are computed there and nowhere else.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from fintune.records import Encoded

if TYPE_CHECKING:
    import torch

    from fintune.models import LoadedModel


Side = Literal["left", "right"]


IGNORE = -100
"""Label of positions that bear no loss (the field's constant)"""


def pad(rows: Sequence[Sequence[int]], value: int, side: Side) -> "tuple[torch.Tensor, torch.Tensor]":
    """Token ids and attention mask, both `(batch, longest)`."""
    import torch

    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), value)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if side == "left" else slice(len(row))
        ids[i, where] = torch.tensor(row, dtype=torch.long)
        mask[i, where] = 1
    return ids, mask


def positions(mask: "torch.Tensor") -> "torch.Tensor":
    """Position of each token among the real ones, so that padding cannot move it; shape of `mask`."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)


def collate_causal(batch: Sequence[Encoded], pad_id: int, side: Side = "left") -> "dict[str, torch.Tensor]":
    """Prompt and answer in one sequence; `labels` and `logits_to_keep` are `(batch, longest answer)`, aligned.

    The end token is a target but never an input: nothing is predicted from it.
    """
    rows = [example.input_ids + example.answer_ids[:-1] for example in batch]
    ids, mask = pad(rows, pad_id, side)
    labels, answered = pad([example.answer_ids for example in batch], IGNORE, "right")
    shift = [ids.shape[1] - len(row) if side == "left" else 0 for row in rows]
    first = [s + len(example.input_ids) - 1 for s, example in zip(shift, batch, strict=True)]
    keep = labels.new_tensor(first)[:, None] + (
        answered.cumsum(dim=1) - 1
    )  # past an answer's end: its last position again
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": positions(mask),
        "labels": labels,
        "logits_to_keep": keep,
        **beside_labels(batch),
    }


def collate_seq2seq(batch: Sequence[Encoded], pad_id: int, start_id: int) -> "dict[str, torch.Tensor]":
    """Prompt to the encoder, answer to the decoder (shifted right); `labels` is `(batch, longest answer)`."""
    ids, mask = pad([example.input_ids for example in batch], pad_id, "right")
    labels, _ = pad([example.answer_ids for example in batch], IGNORE, "right")
    fed, _ = pad([[start_id, *example.answer_ids[:-1]] for example in batch], pad_id, "right")
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "decoder_input_ids": fed,
        "labels": labels,
        **beside_labels(batch),
    }


def collator(loaded: "LoadedModel") -> "Callable[[Sequence[Encoded]], dict[str, torch.Tensor]]":
    """Return the collate function for a model's kind."""
    pad_id = loaded.tokenizer.pad_token_id
    if loaded.kind == "causal":
        return partial(collate_causal, pad_id=pad_id)
    return partial(collate_seq2seq, pad_id=pad_id, start_id=loaded.model.config.decoder_start_token_id)


def read(example: Encoded, kind: str) -> list[int]:
    """Return the token ids the lower part of a model reads: of an encoder-decoder the prompt, else the answer too."""
    return example.input_ids + example.answer_ids[:-1] if kind == "causal" else example.input_ids


def beside_labels(batch: Sequence[Encoded]) -> "dict[str, torch.Tensor]":
    """Return what the loss reads beside labels: `weights` `(batch,)`; `shares` `(batch, candidates)` where examples have such."""
    import torch

    shares = [example.shares for example in batch]
    soft = {"shares": torch.tensor(shares)} if all(shares) else {}
    return {"weights": torch.tensor([example.weight for example in batch]), **soft}


def micro_batches(batch: "Mapping[str, torch.Tensor]", tokens: int) -> "list[dict[str, torch.Tensor]]":
    """Split a batch into parts of equal size with at most `tokens` padded input tokens each (one row at least)."""
    rows, length = batch["input_ids"].shape
    parts = math.ceil(rows / max(1, tokens // length))
    size = math.ceil(rows / parts)
    return [{name: tensor[i : i + size] for name, tensor in batch.items()} for i in range(0, rows, size)]

"""Lean LoRA layers for the length of a training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fintune.config.train import TrainSection
from fintune.methods.lora.fused import lean
from fintune.models import LoadedModel
from fintune.models.shortcuts.last_block import queries_of_last_block


@contextmanager
def leanly(loaded: LoadedModel, settings: TrainSection) -> Iterator[int]:
    """Compute the model's LoRA layers in groups inside the block, if the settings allow it; yields how many."""
    if not settings.lean:
        yield 0
        return
    ids = torch.full((1, 2), loaded.tokenizer.pad_token_id, device=loaded.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if loaded.kind == "seq2seq":
        inputs["decoder_input_ids"] = ids[:, :1]
    queries = queries_of_last_block(loaded.model) if loaded.kind == "causal" else None
    with lean(loaded.model, inputs, apart=[queries] if queries is not None else []) as layers:
        yield layers

"""What all prompts of a call begin with, read once: long instructions, few-shot examples.

Keys and values of the shared tokens are kept and repeated for every batch; only what differs is read again.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NotRequired, TypedDict

from fintune.models.batches import positions
from fintune.models.blocks import unwrap
from fintune.models.families import supporting

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import Cache, PreTrainedModel

FEWEST = 16
"""Number of shared tokens below which reading them again is cheaper than copying what is known of them."""


class CausalInputs(TypedDict):
    """What a causal model is called with."""

    input_ids: "torch.Tensor"
    attention_mask: "torch.Tensor"
    position_ids: "torch.Tensor"
    cache: "NotRequired[Cache]"
    logits_to_keep: "NotRequired[torch.Tensor]"


@dataclass(frozen=True)
class Prefix:
    """Tokens that have been read, and what the model knows of them (a batch of one)."""

    ids: list[int]
    known: "Cache"

    def continued(self, rest: "torch.Tensor", mask: "torch.Tensor") -> CausalInputs:
        """Return what to call the model with for the tokens `rest` `(n, longest)` behind the prefix."""
        import torch

        cache = copy.deepcopy(self.known)
        cache.batch_repeat_interleave(len(rest))
        before = torch.ones((len(rest), len(self.ids)), dtype=mask.dtype, device=mask.device)
        return {
            "input_ids": rest,
            "attention_mask": torch.cat([before, mask], dim=1),
            "position_ids": len(self.ids) + positions(mask),
            "cache": cache,
        }


def allowed(model: "PreTrainedModel | PeftModel", longest: int) -> bool:
    """Return whether padding between the beginning and a text changes nothing: positions turn keys, and no window is reached.

    A sliding window counts padding too, so texts that reach it would see less of the beginning.
    """
    config = unwrap(model).config.get_text_config()
    window = getattr(config, "sliding_window", None)
    return config.model_type in supporting("rotary") and (window is None or longest < window)


def shared(sequences: Sequence[list[int]]) -> list[int]:
    """Return the tokens all sequences begin with, at least one of each left over; none where it is not worth it."""
    if len(sequences) < 2:
        return []
    first, last = min(sequences), max(sequences)  # what these two share, all share
    common = [i for i, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    common = common[: min(map(len, sequences)) - 1]
    return common if len(common) >= FEWEST else []


def read(model: "PreTrainedModel | PeftModel", ids: list[int], device: "torch.device") -> Prefix:
    """Have the model read the shared tokens."""
    import torch

    tokens = torch.tensor([ids], device=device)
    outputs = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), logits_to_keep=1, use_cache=True)
    return Prefix(ids, outputs.cache)

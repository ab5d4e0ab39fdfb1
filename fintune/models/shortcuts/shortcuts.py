"""The ways around work whose result is known or thrown away, for one call of a model; training and scoring take the same.

What they leave out they leave out of the model that all threads share: whoever shares one has its turn (runtime/turns.py) meanwhile.

Example:
    shortcuts = Shortcuts(rows=torch.tensor([4414, 8345, 11076]))
    with shortcuts.taken(model, batch) as inputs:
        logits = model(**inputs).logits        # (batch, 1, 3)
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fintune.models.shortcuts.head import head_rows
from fintune.models.shortcuts.last_block import last_positions
from fintune.models.shortcuts.trunk_cache import TrunkCache

if TYPE_CHECKING:
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    from fintune.models.annotations import Model

STATES = "trunk_states"
"""Name of the cached states in a batch"""


@dataclass(frozen=True)
class Shortcuts:
    """`rows`: ids of the first tokens of the answers, the only logits wanted (None: all); `trunk`: states known already."""

    rows: "torch.Tensor | None" = None
    trunk: TrunkCache | None = None
    last_block: bool = True

    @contextmanager
    def taken(
        self, model: "Model", batch: "Mapping[str, torch.Tensor]"
    ) -> "Iterator[dict[str, torch.Tensor | BaseModelOutput]]":
        """Yield what to call `model` with inside the block; `batch` may hold `trunk_states`."""
        inputs: dict[str, Any] = dict(batch)
        states = inputs.pop(STATES, None)
        with ExitStack() as stack:
            if self.rows is not None:
                stack.enter_context(head_rows(model, self.rows.to(batch["attention_mask"].device)))
            if states is not None:
                self._go_on_from(states, inputs, stack)
            keep = inputs.get("logits_to_keep")
            whole = self.last_block and "cache" not in inputs  # a cache holds more keys than this pass reads
            if whole and keep is not None and stack.enter_context(last_positions(model, keep)):
                del inputs["logits_to_keep"]
            yield inputs

    def _go_on_from(self, states: "torch.Tensor", inputs: dict[str, Any], stack: ExitStack) -> None:
        from transformers.modeling_outputs import BaseModelOutput

        assert self.trunk is not None
        if self.trunk.trunk.kind == "causal":
            stack.enter_context(self.trunk.trunk.supplied(states))
        else:
            inputs["encoder_outputs"] = BaseModelOutput(last_hidden_state=states)
            del inputs["input_ids"]

"""A method of one's own in twenty lines: every block's output is scaled by a learned vector (fintune train ... --code my_method.py)."""

from typing import Any, Literal

import torch
from pydantic import Field

from fintune.methods import Method, MethodOptions
from fintune.methods.fintune_format import begin, save
from fintune.models.blocks import blocks


class ScaledOptions(MethodOptions):
    name: Literal["scaled-blocks"] = "scaled-blocks"
    start: float = Field(1.0, description="What the output is multiplied by before training.")


def attach(model: Any, options: ScaledOptions, kind: str) -> Any:
    begin(model, options)  # everything frozen, the settings remembered
    for block in blocks(model):
        last = [m for m in block.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.scale = torch.nn.Parameter(torch.full((last.out_features,), options.start, device=last.weight.device))
        last.register_forward_hook(lambda layer, args, output: output * layer.scale)
    return model


SCALED = Method(
    name="scaled-blocks",
    summary="The last layer of every block is scaled by a learned vector",
    paper="an example",
    options=ScaledOptions,
    attach=attach,
    save=save,
    saved_format="fintune",
    merge=None,
    no_merge="an example that does not say how",
    learning_rate=1e-2,
    learning_rate_source="an example",
)

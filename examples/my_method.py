"""A method of one's own in thirty lines: every block's output is scaled by a learned vector (fintune train ... --code my_method.py)."""

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
    for last in last_layers(model):
        last.scale = torch.nn.Parameter(torch.full((last.out_features,), options.start, device=last.weight.device))
        last.hook = last.register_forward_hook(lambda layer, args, output: output * layer.scale)
    return model


def merge(model: Any) -> Any:
    for last in last_layers(model):
        last.hook.remove()
        last.weight.data *= last.scale.data[:, None]
        del last.scale, last.hook
    return model


def last_layers(model: Any) -> list[Any]:
    return [[m for m in block.modules() if isinstance(m, torch.nn.Linear)][-1] for block in blocks(model)]


SCALED = Method(
    name="scaled-blocks",
    summary="The last layer of every block is scaled by a learned vector",
    paper="an example",
    options=ScaledOptions,
    attach=attach,
    save=save,
    saved_format="fintune",
    merge=merge,
    learning_rate=1e-2,
    learning_rate_source="an example",
)

"""Which layers of a model a method stands in: names, or all linear layers of all or some blocks, as one regex.

Example:
    options.regex(model)
    # 'model\\\\.layers\\\\.\\\\d+\\\\.(?:mlp\\\\.down_proj|mlp\\\\.gate_proj|...)'
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from fintune.errors import ModelError
from fintune.methods.protocol import MethodOptions
from fintune.models.blocks import blocks as decoder_blocks
from fintune.models.blocks import towers_without_text

if TYPE_CHECKING:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    from fintune.models.annotations import Model

_BLOCK = re.compile(r"^(?P<stem>.*?)\.(?P<index>\d+)\.(?P<inner>.+)$")
_TOP = re.compile(r"top:[1-9]\d{0,3}")


class TargetOptions(MethodOptions):
    """Settings of a method that stands in chosen layers."""

    target_modules: str | list[str] = Field(
        "auto", description="auto = every linear layer of the transformer blocks; or names, or one regex."
    )
    layers: str | list[int] = Field(
        "all",
        description="Blocks to adapt: all | top:6 (the last six; of an encoder-decoder, of its decoder) | numbers from 0."
        " What lies below the lowest is computed once (train.trunk_cache).",
    )

    @field_validator("target_modules")
    @classmethod
    def _regex_is_one(cls, chosen: str | list[str]) -> str | list[str]:
        if not chosen:
            raise ValueError("names no layer; leave it out for auto")
        if isinstance(chosen, str):
            compiled(chosen)
        return chosen

    @field_validator("layers")
    @classmethod
    def _blocks_are_some(cls, chosen: str | list[int]) -> str | list[int]:
        if isinstance(chosen, str) and chosen != "all" and not _TOP.fullmatch(chosen):
            raise ValueError("must be all, top: with a number (top:6), or a list of block numbers")
        if isinstance(chosen, list) and (not chosen or min(chosen) < 0):
            raise ValueError("needs numbers from 0; leave it out for all blocks")
        return chosen

    @model_validator(mode="after")
    def _blocks_and_names(self) -> Self:
        """Names of one's own are looked for in all blocks; a method that can do both says so."""
        if self.layers != "all" and self.target_modules != "auto":
            raise ValueError(
                "layers goes with target_modules: auto; put the numbers of the blocks into a regex instead"
            )
        return self

    @property
    def top(self) -> int | None:
        """N of `layers: top:N`."""
        return int(self.layers[4:]) if isinstance(self.layers, str) and self.layers != "all" else None

    @property
    def numbers(self) -> list[int]:
        """Blocks that are chosen by number; empty where they are not."""
        return self.layers if isinstance(self.layers, list) else []

    def regex(self, model: "Model") -> str | list[str]:
        """Return the chosen layers of a model, as PEFT takes them. Raises ModelError when there are none."""
        if self.top:
            return top_linear_layers(model, self.top)
        return block_linear_layers(model, self.numbers) if self.target_modules == "auto" else self.target_modules


def compiled(pattern: str) -> None:
    """Raise ValueError when a pattern is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def block_linear_layers(model: "nn.Module", blocks: Sequence[int] = (), *, within: str = "") -> str:
    """Return a regex for the full names of all linear layers inside the model's numbered blocks (`layers.3.mlp.up_proj`).

    Of all blocks, or of those whose numbers are given, below the name `within`. The head and the embeddings stand outside the
    blocks and are left alone, and so is a tower that reads no text. Raises ModelError when there is none, or no such block.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    inner_names: dict[str, set[str]] = {}
    numbers: set[int] = set()
    towers = towers_without_text(model)
    for name, module in model.named_modules():
        if name.startswith(towers) or not name.startswith(within):
            continue
        if isinstance(module, nn.Linear | Conv1D) and (match := _BLOCK.match(name)):
            inner_names.setdefault(match["stem"], set()).add(match["inner"])
            numbers.add(int(match["index"]))
    if not inner_names:
        raise ModelError(
            "method.target_modules: the model has no linear layers in numbered blocks",
            hint="Name the layers to adapt in method.target_modules.",
        )
    if missing := sorted(set(blocks) - numbers):
        raise ModelError(f"method.layers: no block {missing[0]}", hint=f"The model has blocks 0 to {max(numbers)}.")
    index = rf"(?:{'|'.join(map(str, sorted(set(blocks))))})" if blocks else r"\d+"
    parts = [
        rf"{re.escape(stem)}\.{index}\.(?:{'|'.join(map(re.escape, sorted(inner)))})"
        for stem, inner in sorted(inner_names.items())
    ]
    return "|".join(parts)


def top_linear_layers(model: "Model", count: int) -> str:
    """Return a regex for the linear layers of the last `count` blocks of the decoder alone."""
    layers = decoder_blocks(model)
    if count > len(layers):
        raise ModelError(f"method.layers: top:{count}, and the model has {len(layers)} blocks", hint="Use layers: all.")
    name = next(name for name, module in model.named_modules() if module is layers)
    return block_linear_layers(model, range(len(layers) - count, len(layers)), within=f"{name}.")


def chosen_layers(model: "Model", options: TargetOptions) -> "dict[str, nn.Linear | Conv1D]":
    """Return the layers that the settings choose, by name, for methods that change them themselves. Raises ModelError for none."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    chosen = options.regex(model)

    def fits(name: str) -> bool:
        if isinstance(chosen, str):
            return re.fullmatch(chosen, name) is not None
        return any(name == one or name.endswith(f".{one}") for one in chosen)

    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and fits(n)}
    if not layers:
        raise ModelError("method.target_modules: no linear layer is called so", hint="Leave it out for all of them.")
    return layers

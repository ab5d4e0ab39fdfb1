"""Methods that train parameters the model has already: the last blocks, all of it, or its biases.

Example:
    METHODS["freeze"].attach(model, FreezeOptions(blocks=2), "causal")
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods.fintune_format import begin, save, trained
from fintune.methods.protocol import Method, MethodOptions
from fintune.methods.targets import TargetOptions, chosen_layers
from fintune.models.blocks import blocks, towers_without_text, unwrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from fintune.models.annotations import Model


class _InPlace(MethodOptions):
    def changes_base(self) -> bool:
        """Say yes: what trains is the base model's own."""
        return True


class FreezeOptions(_InPlace):
    """Settings of method `freeze`."""

    name: Literal["freeze"] = "freeze"
    blocks: int = Field(
        2, ge=1, description="How many of the last blocks train; of an encoder-decoder, of its decoder."
    )
    last_norm: bool = Field(True, description="Whether the norm behind the last block trains too.")


class FullOptions(_InPlace):
    """Settings of method `full`."""

    name: Literal["full"] = "full"
    embeddings: bool = Field(False, description="Whether the embedding, and a head tied to it, trains too.")


class BitFitOptions(_InPlace, TargetOptions):
    """Settings of method `bitfit`."""

    name: Literal["bitfit"] = "bitfit"
    add: bool = Field(
        False, description="Give the chosen layers biases where they have none; such a run cannot be merged."
    )

    def no_merge(self) -> str:
        """Say that added biases have no place in the model's architecture."""
        return "the biases it added have no place in the base model's architecture" if self.add else ""


def freeze(model: "Model", options: FreezeOptions, kind: str) -> "Model":
    """Train the last blocks as they are. Raises ModelError when there are fewer."""
    begin(model, options)
    layers = blocks(model)
    if options.blocks > len(layers):
        raise ModelError(
            f"method.blocks: {options.blocks}, and the model has {len(layers)} blocks", hint="Use full, or fewer."
        )
    for layer in list(layers)[-options.blocks :]:
        layer.requires_grad_(True)
    if options.last_norm and (norm := _norm_behind(model)) is not None:
        norm.requires_grad_(True)
    return model


def _norm_behind(model: "Model") -> "nn.Module | None":
    """Return the last module of the decoder with weights, if it is a norm."""
    children = [child for child in unwrap(model).get_decoder().children() if any(True for _ in child.parameters())]
    return children[-1] if children and "Norm" in type(children[-1]).__name__ else None


def full(model: "Model", options: FullOptions, kind: str) -> "Model":
    """Train everything but, unless asked, the embedding, and but towers that read no text."""
    begin(model, options)
    towers = towers_without_text(model)
    kept = () if options.embeddings else tuple(model.get_input_embeddings().parameters())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(towers) and all(parameter is not p for p in kept))
    return model


def bitfit(model: "Model", options: BitFitOptions, kind: str) -> "Model":
    """Train the biases of the chosen layers (all of a block's with target_modules: auto). Raises ModelError without any."""
    import torch

    begin(model, options)
    for layer in chosen_layers(model, options).values():
        if layer.bias is None and options.add:
            layer.bias = torch.nn.Parameter(layer.weight.new_zeros(layer.weight.shape[0]))
        if layer.bias is not None:
            layer.bias.requires_grad_(True)
    if not trained(model):
        raise ModelError(
            "method.name: bitfit trains biases, and this model's layers have none",
            hint="Use --set method.add=true to give them some, or another method.",
        )
    return model


def _as_it_is(model: "PreTrainedModel") -> "PreTrainedModel":
    return model


_SAME: dict[str, Any] = {
    "quantized": False, "saved_format": "fintune", "save": save, "merge": _as_it_is,
}  # fmt: skip
FREEZE = Method(
    name="freeze",
    summary="The last blocks train as they are, the rest stays",
    paper="Lee et al. 2019, arXiv:1911.03090",
    options=FreezeOptions,
    attach=freeze,
    learning_rate=1e-4,
    learning_rate_source="better of two on AllAgree's validation part, docs/log/2026-11.md",
    **_SAME,
)
FULL = Method(
    name="full",
    summary="All weights train (not the embedding, unless asked)",
    paper="Howard and Ruder 2018, arXiv:1801.06146",
    options=FullOptions,
    attach=full,
    learning_rate=5e-5,
    learning_rate_source="the largest of Devlin et al. 2018, arXiv:1810.04805",
    **_SAME,
)
BITFIT = Method(
    name="bitfit",
    summary="The biases of the layers train",
    paper="Ben Zaken et al. 2022, arXiv:2106.10199",
    options=BitFitOptions,
    attach=bitfit,
    learning_rate=1e-3,
    learning_rate_source="the largest of arXiv:2106.10199's",
    **_SAME,
)

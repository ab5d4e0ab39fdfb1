"""Prefix tuning and P-tuning v2: keys and values that are learned, before those of the text, in every block.

In an encoder-decoder there are three prefixes, as in Li and Liang: the encoder's, the decoder's, and the one between the two (where a
decoder has one attention for both, one). Both begin as keys and values of common words (section 7.4 there).

Example:
    METHODS["prefix"].attach(model, PrefixOptions(num_virtual_tokens=20), "seq2seq")
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods import fintune_format
from fintune.methods.protocol import Method, MethodOptions
from fintune.models.blocks import blocks, input_embedding

if TYPE_CHECKING:
    from torch import nn

    from fintune.models.annotations import Model

_COMMON = 5000


class DeepPromptOptions(MethodOptions):
    """Settings of method `p-tuning-v2`."""

    name: Literal["p-tuning-v2"] = "p-tuning-v2"
    num_virtual_tokens: int = Field(20, ge=1, le=1000, description="Keys and values before those of the text.")
    layers: str = Field("all", pattern=r"^(all|top:[1-9]\d{0,3})$", description="Blocks that have them: all | top:6.")


class PrefixOptions(DeepPromptOptions):
    """Settings of method `prefix`."""

    name: Literal["prefix"] = "prefix"  # type: ignore[assignment]
    hidden_size: int = Field(
        128, ge=0, le=16384, description="Inner width of the network that makes the prefixes while training; 0: none."
    )


def attach(model: "Model", options: DeepPromptOptions, kind: str) -> "Model":
    """Put prefixes before the keys and values of every attention; they alone train."""
    fintune_format.begin(model, options)
    put_in(model, options)
    return model


def put_in(model: "Model", options: DeepPromptOptions) -> None:
    """Put the prefixes in. Raises ModelError where a family has an attention of its own."""
    import torch

    from fintune.methods.prefix_attention import attention_sites, use_prefixes
    from fintune.methods.prompt_modules import GeneratedPrefix, LearnedPrefix, PrefixNetwork

    count, within = options.num_virtual_tokens, _within(model, options.layers)
    ids = torch.randint(0, min(_COMMON, input_embedding(model).num_embeddings), (1, count)).to(model.device)
    sites = [site for site in attention_sites(model, ids) if within is None or site.module in within]
    if not sites:
        raise ModelError(
            "method.name: this family computes attention in a way of its own, where nothing can be put before the keys",
            hint="Use method prompt, or lora.",
        )
    hidden = getattr(options, "hidden_size", 0)
    network = PrefixNetwork(count, hidden).to(model.device) if hidden else None
    for site in sites:
        keys, values = site.keys[:, :count].float(), site.values[:, :count].float()  # small steps are lost on bfloat16
        made = LearnedPrefix(keys, values) if network is None else GeneratedPrefix(keys, values, network)
        site.module.prefix = made
    use_prefixes(model)


def _within(model: "Model", layers: str) -> "set[nn.Module] | None":
    """Return the modules of the chosen blocks; None for all. Raises ModelError."""
    if layers == "all":
        return None
    chosen, count = blocks(model), int(layers[4:])
    if count > len(chosen):
        raise ModelError(f"method.layers: {layers}, and the model has {len(chosen)} blocks", hint="Use layers: all.")
    return {module for block in list(chosen)[-count:] for module in block.modules()}


def _save(model: "Model", folder: Path) -> None:
    """Write the prefixes as they are now: the network that made them is no longer needed."""
    import torch

    with torch.no_grad():
        prefixes = {name: getattr(module, "prefix", None) for name, module in model.named_modules()}
        made = {name: prefix() for name, prefix in prefixes.items() if prefix is not None}
    tensors = {}
    for name, (keys, values) in made.items():
        tensors[f"{name}.prefix.keys"], tensors[f"{name}.prefix.values"] = keys, values
    options = fintune_format.options_of(model)
    plain = options.model_copy(update={"hidden_size": 0}) if isinstance(options, PrefixOptions) else options
    fintune_format.write(tensors, plain, folder)


_SHARED: dict[str, Any] = {
    "attach": attach,
    "merge": None,
    "no_merge": "keys and values before the text have no place in the base model's weights",
    "virtual_tokens": True,
    "saved_format": "fintune",
    "save": _save,
}
PREFIX = Method(
    name="prefix",
    summary="Learned keys and values before the text's in every block, made by a small network while training",
    paper="Li and Liang 2021, arXiv:2101.00190",
    options=PrefixOptions,
    learning_rate=3e-3,
    learning_rate_source="best of three on AllAgree's validation part, docs/log/2026-11.md",
    **_SHARED,
)
P_TUNING_V2 = Method(
    name="p-tuning-v2",
    summary="Learned keys and values before the text's in every block, as they are",
    paper="Liu et al. 2022, arXiv:2110.07602",
    options=DeepPromptOptions,
    learning_rate=2e-2,
    learning_rate_source="between arXiv:2110.07602's order and the best of three on AllAgree's validation part, docs/log/2026-11.md",
    **_SHARED,
)

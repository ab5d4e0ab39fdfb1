"""The numbered transformer blocks of a model, found by structure, whatever the family calls them."""

from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from fintune.models.annotations import Embedding, Model


def unwrap(model: "Model") -> "PreTrainedModel":
    """Return the transformers model itself: without PEFT's wrapper, its injected layers in place."""
    wrapped: Any = model
    inner: PreTrainedModel = wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped
    return inner


def input_embedding(model: "Model") -> "Embedding":
    """Return the layer that makes vectors of the ids a model reads."""
    embedding: Any = model.get_input_embeddings()
    layer: Embedding = embedding
    return layer


def blocks(model: "Model") -> "nn.ModuleList":
    """Return the blocks of the decoder (of an encoder-decoder: of that part alone), the lowest first."""
    return block_list(unwrap(model).get_decoder())


def block_list(part: "nn.Module") -> "nn.ModuleList":
    """Return the longest list of modules in a part of a model that reads text, inside no other. Raises ModelError without one."""
    from torch import nn

    passed = [*towers_without_text(part)]
    lists = []
    for name, module in part.named_modules():
        if isinstance(module, nn.ModuleList) and not f"{name}.".startswith(tuple(passed)):
            lists.append(module)
            passed.append(f"{name}.")
    if not lists:
        raise ModelError(
            "model.base: no numbered transformer blocks in it", hint="Use a transformers model of a known family."
        )
    return max(lists, key=len)


def towers_without_text(model: "nn.Module") -> tuple[str, ...]:
    """Return the prefixes of the parts that read images or sound alone, which transformers' models declare."""
    parts = model.named_modules()
    return tuple(f"{name}." for name, part in parts if "text" not in getattr(part, "input_modalities", "text")) or (
        "\0",
    )

"""A model with fewer blocks: the answer is read out after the first of them."""

from pathlib import Path

from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.blocks import blocks, unwrap


def keep_first(loaded: LoadedModel, count: int) -> None:
    """Drop all blocks but the first `count`, in place. Raises ModelError for a number of blocks the model cannot have."""
    if loaded.kind != "causal":
        raise ModelError(
            f"model.base: {loaded.reference} is an encoder-decoder, and only causal models are pruned",
            hint="Use a causal model.",
        )
    layers = blocks(loaded.model)
    whole = len(layers)
    if not 1 <= count < whole:
        raise ModelError(f"--layers {count}: the model has {whole} blocks", hint=f"Keep 1 to {whole - 1} of them.")
    del layers[count:]
    config = unwrap(loaded.model).config.get_text_config()
    for name, value in config.to_dict().items():
        if "layer" in name and isinstance(value, list) and len(value) == whole:
            setattr(config, name, value[:count])  # layer_types and the like: an entry a block
    for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if name in config.to_dict():
            setattr(config, name, count)


def save(loaded: LoadedModel, folder: Path) -> None:
    """Write weights, config and tokenizer."""
    model = unwrap(loaded.model)
    model.config._name_or_path = folder.name
    model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)

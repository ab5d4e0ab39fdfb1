"""A PyTorch .pth of plain tensors, read as a model."""

from pathlib import Path
from typing import Any

from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.digests import file_sha256
from fintune.models.folder import loading_errors
from fintune.models.formats.llama import from_original
from fintune.models.formats.llama_checkpoint import tensors_of
from fintune.models.prompts import Kind
from fintune.runtime.turns import loading

ORIGINAL, PLAIN = "consolidated.00.pth", "model.pth"
"""Meta's name for a LLaMA's weights; that of all others"""


def is_one(folder: Path) -> bool:
    """Whether a folder holds such an export: a .pth with the settings and tokenizer of Hugging Face beside."""
    files = (folder / ORIGINAL, folder / PLAIN)
    return any(file.is_file() for file in files) and (folder / "config.json").is_file()


@loading()
def read(folder: Path, *, held: bool = False) -> LoadedModel:
    """Return the file's tensors in a model made from config.json, in float32 or as they are `held`. Raises ModelError."""
    import torch
    import transformers
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    original = (folder / ORIGINAL).is_file()
    file = folder / (ORIGINAL if original else PLAIN)
    with loading_errors(str(folder)):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tensors = tensors_of(file)
        if original:
            tensors = from_original(tensors, config.num_attention_heads, config.num_key_value_heads)
        architecture: Any = getattr(transformers, config.architectures[0])
        precision = next(iter(tensors.values())).dtype if held else torch.float32
        model, loading_info = architecture.from_pretrained(
            None, config=config, state_dict=tensors, dtype=precision, output_loading_info=True
        )
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if odd := [
        *loading_info["missing_keys"],
        *loading_info["unexpected_keys"],
        *map(str, loading_info["mismatched_keys"]),
    ]:
        raise ModelError(f"{file}: does not fit config.json: {odd[0]}", hint="Export it again.")
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    return LoadedModel(
        model=model.eval(), tokenizer=tokenizer, kind=kind, reference=str(folder), sha256=file_sha256(file)
    )

"""A merged model as one .gguf file for llama.cpp: tensors under its names, turned as its graphs expect them, settings, tokenizer.

Example:
    write(merged, Path("folder"), "q8_0")      # folder/model.gguf
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fintune.errors import ModelError
from fintune.export.formats import gguf_settings, gguf_tokenizer
from fintune.models import LoadedModel
from fintune.models.formats.gguf import GGUF_FILE
from fintune.models.formats.gguf_names import ARCHITECTURES, Architecture, names_of
from fintune.models.gguf_file import FACTORS, METADATA_KEYS, config_of, parsed_once
from fintune.runtime.progress import advance

if TYPE_CHECKING:
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter
    from transformers import PreTrainedConfig, PreTrainedModel

_KINDS = {"float32": "F32", "float16": "F16", "q8_0": "Q8_0"}


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Write model.gguf. Raises ModelError for a model llama.cpp would run otherwise."""
    from gguf import GGUFWriter

    config = merged.model.config
    architecture = ARCHITECTURES[config.model_type]
    gguf_settings.need_runnable(architecture.name, config)
    if architecture.name == "t5":
        gguf_tokenizer.need_unigrams(merged.tokenizer)
    folder.mkdir()
    with closing(GGUFWriter(folder / GGUF_FILE, architecture.name)) as writer:
        _settings(writer, architecture, merged, dtype)
        _tensors(writer, architecture, merged.model, dtype)
    _need_same_settings(folder / GGUF_FILE, config)


def _settings(writer: "GGUFWriter", architecture: Architecture, merged: LoadedModel, dtype: str) -> None:
    from gguf import GGML_QUANT_VERSION

    add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    writer.add_name(Path(merged.reference).name)
    for key, value in gguf_settings.settings(architecture.name, merged.model.config).items():
        add[type(value)](key, value)  # type: ignore[operator]
    writer.add_file_type({"float32": 0, "float16": 1, "q8_0": 7}[dtype])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    template = getattr(merged.tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = [{"name": name, "template": text} for name, text in template.items()]
    if template:
        writer.add_chat_template(template)
    gguf_tokenizer.write(writer, merged.tokenizer, rows=len(merged.model.get_input_embeddings().weight))


def _tensors(writer: "GGUFWriter", architecture: Architecture, model: "PreTrainedModel", dtype: str) -> None:
    """Write the places of the tensors first, then one after the other, so that none is in memory twice."""
    from gguf import quants

    kinds = {}
    for name, tensor in _named(model, architecture):
        kinds[name] = kind = _kind(architecture, name, tensor, dtype)
        shape = quants.quant_shape_to_byte_shape(tuple(tensor.shape), kind)
        writer.add_tensor_info(name, shape, np.dtype(np.uint8), int(np.prod(shape)), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for number, (name, tensor) in enumerate(_named(model, architecture), start=1):
        writer.write_tensor_data(quants.quantize(tensor.float().contiguous().numpy(), kinds[name]))
        advance("write", number, len(kinds))


def _kind(architecture: Architecture, name: str, tensor: "torch.Tensor", dtype: str) -> "GGMLQuantizationType":
    """Return the precision of a tensor: matrices in the wanted one where their rows allow it."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    kinds = {name: GGMLQuantizationType[gguf] for name, gguf in _KINDS.items()}
    if dtype == "float32" or tensor.ndim == 1 or re.search(architecture.in_full, name):
        return kinds["float32"]
    block, _ = GGML_QUANT_SIZES[kinds[dtype]]
    return kinds["float16" if tensor.shape[-1] % block else dtype]


def _named(model: "PreTrainedModel", architecture: Architecture) -> "Iterator[tuple[str, torch.Tensor]]":
    """Yield every tensor under llama.cpp's name; a head that is the embedding is not written twice."""
    import torch

    names = names_of(model, architecture)
    tables: Any = model  # transformers leaves these two without types
    head, embedding = tables.get_output_embeddings(), tables.get_input_embeddings()
    for name, tensor in model.state_dict().items():
        tied = name == "lm_head.weight" and head.weight is embedding.weight
        if name in architecture.left_out and not torch.equal(tensor, embedding.weight):
            raise ModelError(
                f"--format gguf: {name} is not the embedding of the rest, and llama.cpp's {architecture.name} has one for all",
                hint="Use --format merged, or train without embed_tokens.",
            )
        if tied or name in architecture.left_out:
            continue
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if theirs is None:
            raise ModelError(
                f"--format gguf: no place for {name} in llama.cpp's {architecture.name}", hint="Use --format merged."
            )
        yield theirs, architecture.turn(name, tensor, model.config)
    if (factors := gguf_settings.stretched(model.config)) is not None:
        yield FACTORS, torch.from_numpy(factors)


def _need_same_settings(file: Path, config: "PreTrainedConfig") -> None:
    """Refuse a file of which another model would be made, though short texts may not show it. Raises ModelError."""
    with parsed_once() as parse:
        read_back = config_of(parse(file), file)
    names = {
        *METADATA_KEYS[ARCHITECTURES[config.model_type].name],
        "rope_parameters",
        "layer_types",
        "tie_word_embeddings",
    }
    for name in sorted(names):
        ours, theirs = getattr(config, name, None), getattr(read_back, name, None)
        if ours is not None and not _same(ours, theirs):
            raise ModelError(f"{file}: {name} is {theirs}, should be {ours}", hint="Please report it.")


def _same(ours: object, theirs: object) -> bool:
    """Return whether two settings are equal to the precision of float32, which is all a file has."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, float) and isinstance(theirs, float):
        return bool(np.isclose(ours, theirs, rtol=1e-5, atol=0))
    return ours == theirs

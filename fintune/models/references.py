"""What `model.base` may say, checked without weights or network.

A reference is the word of an embedded model, a folder, a `.gguf` file, or a hub id; the first three never touch the network.
"""

import math
import os
from pathlib import Path
from typing import Any

from fintune.errors import ModelError
from fintune.models.annotations import JsonObject
from fintune.models.devices import find_device
from fintune.models.digests import file_sha256, folder_sha256
from fintune.models.embedded import EMBEDDED, LICENSE, convert_gguf, embedded_folder, need_package
from fintune.models.families import family_of
from fintune.models.folder import loading_errors, need_readable, read_json
from fintune.models.gguf_header import need_blocks, need_whole
from fintune.models.prompts import Kind
from fintune.runtime.cache import cache_folder, writable_cache
from fintune.runtime.untrusted import need_name, open_plain, parse_object

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
_KINDS = f"Name a folder, a .gguf file, a hub id, {' or '.join(EMBEDDED)}."

_MOVED = "If it has moved: --base FOLDER with predict, evaluate, explain, merge and export, --set model.base=FOLDER with train."


def check_reference(reference: str, device: str) -> None:
    """Refuse now what loading would refuse later. Raises ModelError, BrokenEnvironment without the embedded package."""
    if device not in ("auto", "cpu"):  # else importing torch would be all it did
        find_device(device)
    path = local_path(reference)
    if reference in EMBEDDED:
        need_package(reference)
    elif path is not None and path.suffix != ".gguf":
        _check_folder(path)


def local_path(reference: str) -> Path | None:
    """Return the folder or .gguf file a reference names; None for embedded models and hub ids. Raises ModelError when it is not there."""
    if not reference.strip():
        raise ModelError("model.base: is empty", hint=_KINDS)
    path = Path(reference).expanduser()
    need_name(path)
    if reference in EMBEDDED:
        return None
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"model.base: no file '{path}'", hint=f"Check the path. {_MOVED}")
        return path
    if path.is_dir():
        return path
    if path.is_absolute() or reference.startswith((".", "~")) or reference.count("/") > 1:
        raise ModelError(f"model.base: no folder '{reference}'", hint=f"{_KINDS} {_MOVED}")
    return None


def source(reference: str) -> str:
    """Return the folder or hub id to load from; converts what is not one yet."""
    if reference in EMBEDDED:
        return str(embedded_folder(reference))
    path = local_path(reference)
    if path is None:
        return reference
    if path.suffix == ".gguf":
        return str(_converted(path))
    _check_folder(path)
    return str(path)


def at_hand(reference: str) -> Path | None:
    """Return the folder of a model that needs neither network nor conversion."""
    if reference in EMBEDDED:
        folder = cache_folder() / EMBEDDED[reference].name
        return folder if (folder / "tokenizer.json").is_file() else None
    path = Path(reference).expanduser()
    return path if (path / "config.json").is_file() else None


def sha256_at_hand(reference: str) -> str | None:
    """Return the digest of a model that is at hand, read whole; None where it is not, as before a first conversion."""
    folder = at_hand(reference)
    return None if folder is None else folder_sha256(folder)


def config_at_hand(reference: str) -> JsonObject | None:
    """Return the config.json of a model that is at hand."""
    folder = at_hand(reference)
    return None if folder is None else read_json(folder / "config.json")


def model_type_at_hand(reference: str) -> str | None:
    """Return what config.json calls the architecture of a model that is at hand."""
    model_type = (config_at_hand(reference) or {}).get("model_type")
    return model_type if isinstance(model_type, str) else None


def vocabulary_at_hand(reference: str) -> int | None:
    """Return how many rows the embedding of a model at hand has, by its config.json alone; None where that does not say."""
    config = config_at_hand(reference) or {}
    text = config.get("text_config", config)
    rows = text.get("vocab_size") if isinstance(text, dict) else None
    return rows if isinstance(rows, int) else None


def base_license(reference: str) -> str | None:
    """Return the license most models of that family have; None where the family is not known."""
    if reference in EMBEDDED:
        return LICENSE
    family = family_of(model_type_at_hand(reference))
    return None if family is None else family.license


def kind_at_hand(reference: str) -> Kind | None:
    """Return what a model that is at hand is, by its config.json alone; None where that does not say."""
    if (folder := at_hand(reference)) is None:
        return None
    config = read_json(folder / "config.json")
    if (family := family_of(config.get("model_type"))) is not None:
        return family.kind
    return "seq2seq" if config.get("is_encoder_decoder") else None


def positions_at_hand(reference: str) -> int | None:
    """Return how many tokens a model that is at hand can read, by its config.json alone; None where there is no limit or it is not said."""
    if (folder := at_hand(reference)) is None:
        return None
    config = read_json(folder / "config.json")
    parts = (config.get("text_config"), config.get("decoder"))
    text = next((part for part in parts if isinstance(part, dict) and part), config)
    count = text.get("max_position_embeddings") or (
        text.get("n_positions") if text.get("model_type") == "gpt2" else None
    )
    return count if isinstance(count, int) else None


def weight_count(reference: str) -> int | None:
    """Return how many numbers the weights hold of a model at hand; None when it is not at hand yet.

    Read from the headers alone: opening a file maps the whole of it, which fails for one larger than memory.
    """
    folder = at_hand(reference)
    if folder is None:
        return None
    return sum(math.prod(shape) for shape in shapes_in(folder).values())


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of the tensors in a folder's weights, by name, from the headers alone. Raises ModelError."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        need_readable(file)
        with loading_errors(str(file)), open_plain(file) as opened:
            size = int.from_bytes(opened.read(8), "little")
            if size > file.stat().st_size - 8:
                raise ModelError(f"{file}: damaged weights: ends in its header", hint="Copy the model again.")
            header: dict[str, Any] = parse_object(opened.read(size).decode())
            shapes |= {name: tuple(one["shape"]) for name, one in header.items() if name != "__metadata__"}
    return shapes


def _converted(gguf: Path) -> Path:
    """Return a plain folder made from a .gguf file, kept in the cache by its checksum."""
    need_whole(gguf)
    folder = cache_folder() / f"gguf-2-{file_sha256(gguf)[:16]}"  # 2: since positions and T5's gate are read
    if not folder.is_dir():
        writable_cache()
        staging = folder.with_suffix(f".{os.getpid()}.tmp")
        with loading_errors(str(gguf)):
            convert_gguf(gguf.resolve(), staging)
        staging.rename(folder)
    return folder


def shards(folder: Path) -> set[str]:
    """Return the files that the index of a folder's weights names; none without an index. Raises ModelError."""
    index = folder / INDEX
    if not index.exists():
        return set()
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise ModelError(f"{index}: damaged: no weight_map", hint="Copy the whole model again.")
    return set(named.values())


def need_shards(folder: Path) -> None:
    """Refuse an index that names what is no file of the folder: it would be loaded, and no digest would know. Raises ModelError."""
    for name in sorted(shards(folder)):
        if name != Path(name).name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{folder / INDEX}: names '{name}', which is no .safetensors file of that folder",
                hint="Copy the whole model again, all files in one folder.",
            )
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no {name}, which {INDEX} names", hint="Copy the whole model again.")


def _check_folder(folder: Path) -> None:
    """Refuse what would fail late or run foreign code."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(
            f"model.base: no config.json in '{folder}'", hint="Name the folder that save_pretrained wrote."
        )
    if read_json(config).get("transformers_weights"):
        raise ModelError(f"{config}: names its weights itself (transformers_weights)", hint="Remove that line.")
    if "auto_map" in read_json(config):
        raise ModelError(
            f"{config}: needs code of its own (auto_map), which is never run",
            hint="Use a model that transformers knows.",
        )
    if (folder / ADAPTER_CONFIG).exists():
        raise ModelError(
            f"{folder / ADAPTER_CONFIG}: an adapter's, which would have the weights taken from elsewhere",
            hint="Move it out of the model's folder, or name the folder of the base model.",
        )
    need_shards(folder)
    if not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"model.base: no .safetensors in '{folder}'", hint="Pickled weights are not read; convert them first."
        )
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(f"model.base: no tokenizer in '{folder}'", hint="Copy its tokenizer.json there too.")
    for file in folder.iterdir():
        need_readable(file)
    need_blocks(config, read_json(config), len(shapes_in(folder)))

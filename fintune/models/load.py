"""From a model reference to weights in memory: safetensors (or a checked .gguf) only, never remote code.

A reference is `embedded`, a folder, a `.gguf` file, or a hub id; nothing local touches the network.

>>> loaded = load_model("embedded")
>>> loaded.kind
'causal'
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.data.readers import sha256
from fintune.errors import FintuneError, ModelError
from fintune.models.embedded import cache_folder, convert_gguf, embedded_folder
from fintune.prompts import Kind

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LoadedModel:
    """Weights and tokenizer, in evaluation mode on `device`."""

    model: Any
    tokenizer: Any
    kind: Kind
    reference: str

    @property
    def device(self) -> "torch.device":
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    def parameters(self) -> tuple[int, int]:
        """Trainable and total parameter counts."""
        sizes = [(p.numel(), p.requires_grad) for p in self.model.parameters()]
        return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


def load_model(
    reference: str, *, revision: str | None = None, dtype: str = "auto", device: str = "auto"
) -> LoadedModel:
    """Load a base model. Raises ModelError when it is missing, damaged, or only to be had as a pickle."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    where = _device(device)
    precision = (
        (torch.bfloat16 if where.type == "cuda" else torch.float32) if dtype == "auto" else getattr(torch, dtype)
    )
    source = _source(reference)
    local = source != reference or Path(source).is_dir()
    options: dict[str, Any] = {"revision": revision, "local_files_only": local, "trust_remote_code": False}
    with _errors(reference):
        config = AutoConfig.from_pretrained(source, **options)
        kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        auto: Any = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
        model = auto.from_pretrained(source, dtype=precision, use_safetensors=True, **options)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LoadedModel(model.to(where).eval(), tokenizer, kind, reference)


def load_adapter(base: LoadedModel, folder: Path) -> LoadedModel:
    """Put a saved PEFT adapter on its base model. Raises ModelError when it is damaged or belongs to another model."""
    import torch
    from peft import PeftModel

    shapes = _adapter_shapes(folder)
    with torch.random.fork_rng(devices=[]), _errors(str(folder)):  # PEFT initialises before it loads
        try:
            model = PeftModel.from_pretrained(base.model, folder)
        except (RuntimeError, ValueError) as error:
            raise _misfit(folder, base.reference, str(error).strip().splitlines()[0]) from None
    own = {name: tuple(p.shape) for name, p in model.named_parameters()}
    for name, shape in shapes.items():
        inside = own.get(_in_model(name), own.get(name))
        if inside != shape:
            raise _misfit(folder, base.reference, f"{name} is {shape} there, {inside or 'absent'} here")
    return LoadedModel(model.eval(), base.tokenizer, base.kind, base.reference)


def _adapter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelError(f"{folder}: no adapter_model.safetensors", hint="Name a run folder, or train again.")
    try:
        with safe_open(weights, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights}: damaged: {error}", hint="Copy the file again, or train again.") from None


def _in_model(name: str) -> str:
    stem, _, leaf = name.rpartition(".")
    return f"{stem}.default.{leaf}"


def _misfit(folder: Path, reference: str, detail: str) -> ModelError:
    return ModelError(
        f"{folder}: the adapter does not fit base model '{reference}': {detail}",
        hint="Use the base model it was trained on (base_model_name_or_path in adapter_config.json).",
    )


def _device(name: str) -> "torch.device":
    import torch

    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"model.device: cannot use '{name}': {str(error).splitlines()[0]}", hint="Use auto or cpu."
        ) from None
    return device


def _source(reference: str) -> str:
    """The folder or hub id to load from; converts what is not one yet."""
    if reference == "embedded":
        return str(embedded_folder())
    if not reference.strip():
        raise ModelError("model.base: is empty", hint="Name a folder, a .gguf file, a hub id, or embedded.")
    path = Path(reference).expanduser()
    if path.suffix == ".gguf":
        return str(_converted(path))
    if path.is_dir():
        _check_folder(path)
        return str(path)
    if path.is_absolute() or reference.startswith((".", "~")) or reference.count("/") > 1:
        raise ModelError(
            f"model.base: no folder '{reference}'", hint="Name a folder, a .gguf file, a hub id, or embedded."
        )
    return reference


def _converted(gguf: Path) -> Path:
    """A plain folder made from a .gguf file, kept in the cache by its checksum."""
    if not gguf.is_file():
        raise ModelError(f"model.base: no file '{gguf}'", hint="Check the path.")
    folder = cache_folder() / f"gguf-{sha256(gguf)[:16]}"
    if not folder.is_dir():
        staging = folder.with_suffix(f".{os.getpid()}.tmp")
        with _errors(str(gguf)):
            convert_gguf(gguf.resolve(), staging)
        staging.rename(folder)
    return folder


def _check_folder(folder: Path) -> None:
    """Refuse what would fail late or run foreign code."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(
            f"model.base: no config.json in '{folder}'", hint="Name the folder that save_pretrained wrote."
        )
    try:
        architecture = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        raise ModelError(f"{config}: damaged JSON", hint="Copy the model again.") from None
    if "auto_map" in architecture:
        raise ModelError(
            f"{config}: needs code of its own (auto_map), which is never run",
            hint="Use a model that transformers knows.",
        )
    if not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"model.base: no .safetensors in '{folder}'", hint="Pickled weights are not read; convert them first."
        )


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turn what the loading libraries raise into one ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (FintuneError, MemoryError):
        raise
    except SafetensorError as error:
        raise ModelError(f"{what}: damaged weights: {error}", hint="Copy or download the model again.") from error
    except Exception as error:  # a damaged file makes the loading libraries raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{what}: cannot be loaded: {first}", hint="Offline? Name a folder saved with save_pretrained, or embedded."
        ) from error

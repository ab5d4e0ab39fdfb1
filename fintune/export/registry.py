"""The formats a run can be exported to, each as data: what it takes, how it is written, what reads it back for the proof.

Example:
    FORMATS["merged"].write(merged, Path("folder"), "float32")
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict, Unpack

from fintune.errors import ModelError, UsageError, did_you_mean
from fintune.export.formats import bitsandbytes, ctranslate2, gguf, gguf_lora, onnx, state_dict
from fintune.export.names import FORMAT_NAMES
from fintune.inference.artifacts import ARTIFACTS, Artifact
from fintune.models import LoadedModel, save
from fintune.models.families import OVERFLOW_IN_HALF, supporting


@dataclass(frozen=True, kw_only=True)
class Format(Artifact):
    """A way to write a merged model, and what reads it again."""

    summary: str
    library: str | None = None
    """The hub's name of the library that reads it, where there is one."""
    write: Callable[[LoadedModel, Path, str], None]
    """(merged model in float32, or for OntoBase the model with its adapter; folder to make; dtype): write it."""
    to_write: tuple[str, ...] = ()
    """Packages that writing takes besides."""
    half_overflows: bool = False
    """Whether float16 is what programs then compute in."""
    families: tuple[str, ...] = ()
    """Every config.model_type it is for; any if empty."""

    def describe(self) -> dict[str, str]:
        """Return the entry as text: a row of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "dtypes": ", ".join(self.dtypes),
            "models": ", ".join(self.families) or "any",
            "needs": f"fintune[{self.extra}]" if self.extra else "",
        }

    def need(self, model_type: str | None, dtype: str) -> None:
        """Raise ModelError when it is not for such models (None: not known yet), BrokenEnvironment when its package is not there."""
        self.need_package(*self.to_write)
        if model_type is None:
            return
        if dtype == "float16" and self.half_overflows and model_type in OVERFLOW_IN_HALF:
            raise ModelError(
                f"--dtype float16: {model_type} overflows in it: values in its feed-forward layers pass 65,504",
                hint="Use --dtype bfloat16.",
            )
        if self.families and model_type not in self.families:
            raise ModelError(
                f"--format {self.name}: is for {', '.join(self.families)}, and this model is {model_type}",
                hint="Use --format merged.",
            )


class _Limits(TypedDict, total=False):
    """Fields of a Format that have a default."""

    library: str
    to_write: tuple[str, ...]
    half_overflows: bool
    families: tuple[str, ...]


def _written(
    name: str, summary: str, write: Callable[[LoadedModel, Path, str], None], **limits: Unpack[_Limits]
) -> Format:
    """Return a format whose exports ARTIFACTS reads again; a KeyError where nothing does."""
    reader = ARTIFACTS[name]
    inherited = {field.name: getattr(reader, field.name) for field in fields(reader)}
    return Format(**inherited, summary=summary, write=write, **limits)


_ENTRIES = {
    entry.name: entry
    for entry in (
        _written("merged", "a plain Hugging Face folder", save.write, library="transformers", half_overflows=True),
        _written(
            "state-dict",
            "a PyTorch .pth: LLaMA's in Meta's layout with params.json, all others under plain names",
            state_dict.write,
            half_overflows=True,
        ),
        _written("bitsandbytes", "a Hugging Face folder in 4 or 8 bits", bitsandbytes.write, library="transformers"),
        _written("gguf", "one file for llama.cpp", gguf.write, library="gguf", families=supporting("gguf")),
        _written(
            "gguf-lora",
            "the adapter alone for llama.cpp, to put on the base model's .gguf",
            gguf_lora.write,
            library="gguf",
            families=supporting("gguf"),
        ),
        _written(
            "ctranslate2",
            "a CTranslate2 folder: quick on every CPU, in 8-bit integers above all",
            ctranslate2.write,
            library="ctranslate2",
            families=supporting("ctranslate2"),
        ),
        _written(
            "onnx",
            "a graph for onnxruntime: in 8-bit integers quick and close to the full model",
            onnx.write,
            library="onnx",
            to_write=("onnx", "onnxscript"),
            families=supporting("onnx"),
        ),
    )
}
FORMATS = {name: _ENTRIES.pop(name) for name in FORMAT_NAMES}
"""Formats in the order of help texts; a name without an entry fails here, and an entry without a name below."""
if _ENTRIES:
    raise LookupError(f"FORMAT_NAMES of export/names.py lacks {', '.join(_ENTRIES)}")


def format_of(name: str) -> Format:
    """Return a format by name. Raises UsageError."""
    if name not in FORMATS:
        raise UsageError(f"--format {name}: unknown format", hint=did_you_mean(name, list(FORMATS)))
    return FORMATS[name]

"""The formats a run can be exported to, each as data: what it takes, how it is written, what reads it back for the proof.

>>> FORMATS["merged"].write(merged, Path("folder"), "float32")
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fintune.engines import Engine
from fintune.errors import BrokenEnvironment, ModelError, UsageError, did_you_mean
from fintune.export import ct2, gguf, gguf_lora, onnx_graph, plain, quantized, state_dict
from fintune.export.verification import EXACT, ROUNDED
from fintune.installing import with_extra
from fintune.models import LoadedModel
from fintune.models.families import OVERFLOW_IN_HALF
from fintune.sections import RunConfig


@dataclass(frozen=True)
class AsModel:
    """Read again as a model for torch."""

    read: Callable[[Path], LoadedModel]
    """from the folder alone"""


@dataclass(frozen=True)
class OntoBase:
    """The adapter alone was written, and is put on the base model for torch."""

    put: Callable[[LoadedModel, Path], LoadedModel]
    """(clean base model, folder)"""


@dataclass(frozen=True)
class AsEngine:
    """Run by a library of its own."""

    run: Callable[[Path, RunConfig], Engine]
    """(folder, the run's config)"""


@dataclass(frozen=True)
class Format:
    """A way to write a merged model."""

    name: str
    summary: str
    dtypes: Mapping[str, float | None]
    """precisions it is written in, the default first -> by how much a probability may differ; None: rounded so much that labels decide"""
    write: Callable[[LoadedModel, Path, str], None]
    """(merged model in float32, or for OntoBase the model with its adapter; folder to make; dtype)"""
    back: AsModel | OntoBase | AsEngine
    """how what was written is read again"""
    packages: tuple[str, ...] = ()
    """what must be installed, and the extra that brings it"""
    to_write: tuple[str, ...] = ()
    """what writing takes besides"""
    extra: str = ""
    half_overflows: bool = False
    """whether float16 is what programs then compute in"""
    version: int = 2
    """raised when what is written, or how prompts and answers are read, changes so that what was written before must not be run"""
    families: tuple[str, ...] = ()
    """config.model_type it is for; any if empty"""

    def describe(self) -> dict[str, str]:
        """The entry as text: a row of the docs."""
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

    def need_package(self, *besides: str) -> None:
        """Raise BrokenEnvironment when one is not installed."""
        if missing := [package for package in (*self.packages, *besides) if find_spec(package) is None]:
            raise BrokenEnvironment(f"--format {self.name}: {missing[0]} is not installed", hint=with_extra(self.extra))

    def folder_name(self, dtype: str) -> str:
        """What an export is called in its run."""
        return self.name if dtype == self.chosen(None) else f"{self.name}-{dtype}"

    def chosen(self, dtype: str | None) -> str:
        """The precision to write in. Raises UsageError."""
        if dtype is not None and dtype not in self.dtypes:
            raise UsageError(
                f"--dtype {dtype}: format {self.name} has {', '.join(self.dtypes)}",
                hint=did_you_mean(dtype, list(self.dtypes)),
            )
        return dtype or next(iter(self.dtypes))


FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "merged",
            "a plain Hugging Face folder",
            {"float32": EXACT, "bfloat16": ROUNDED, "float16": ROUNDED},
            plain.write,
            AsModel(plain.read),
            half_overflows=True,
        ),
        Format(
            "state-dict",
            "a PyTorch .pth: LLaMA's in Meta's layout with params.json, all others under plain names",
            {"float32": EXACT, "bfloat16": ROUNDED, "float16": ROUNDED},
            state_dict.write,
            AsModel(state_dict.read),
            half_overflows=True,
        ),
        Format(
            "bitsandbytes",
            "a Hugging Face folder in 4 or 8 bits",
            {"nf4": None, "int8": None},
            quantized.write,
            AsModel(plain.read),
            packages=("bitsandbytes",),
            extra="quantization",
        ),
        Format(
            "gguf",
            "one file for llama.cpp",
            {"float32": EXACT, "float16": ROUNDED, "q8_0": None},
            gguf.write,
            AsModel(gguf.read),
            packages=("gguf",),
            extra="embedded",
            families=tuple(gguf.ARCHITECTURES),
        ),
        Format(
            "gguf-lora",
            "the adapter alone for llama.cpp, to put on the base model's .gguf",
            {"float32": EXACT, "float16": ROUNDED},
            gguf_lora.write,
            OntoBase(gguf_lora.onto),
            packages=("gguf",),
            extra="embedded",
            families=tuple(gguf.ARCHITECTURES),
        ),
        Format(
            "ctranslate2",
            "a CTranslate2 folder: quick on every CPU, in 8-bit integers above all",
            {"float32": EXACT, "int8": None},
            ct2.write,
            AsEngine(ct2.run),
            packages=("ctranslate2",),
            extra="ctranslate2",
            families=ct2.FAMILIES,
        ),
        Format(
            "onnx",
            "a graph for onnxruntime: in 8-bit integers quick and close to the full model",
            {"float32": EXACT, "int8": None},
            onnx_graph.write,
            AsEngine(onnx_graph.run),
            packages=("onnxruntime",),
            to_write=("onnx", "onnxscript"),
            version=3,
            extra="onnx",
            families=onnx_graph.FAMILIES,
        ),
    )
}


def format_of(name: str) -> Format:
    """A format by name. Raises UsageError."""
    if name not in FORMATS:
        raise UsageError(f"--format {name}: unknown format", hint=did_you_mean(name, list(FORMATS)))
    return FORMATS[name]

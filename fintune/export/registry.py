"""The formats a run can be exported to, each as data: what it takes, how it is written, what reads it back for the proof.

>>> FORMATS["merged"].write(merged, Path("folder"), "float32")
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fintune.errors import UsageError, did_you_mean
from fintune.export import plain
from fintune.models import LoadedModel


@dataclass(frozen=True)
class Format:
    """A way to write a merged model."""

    name: str
    summary: str
    dtypes: Mapping[str, float | None]
    """precisions it is written in, the default first -> by how much a probability may differ; None: rounded so much that labels decide"""
    write: Callable[[LoadedModel, Path, str], None]
    """(merged model in float32, empty folder, dtype)"""
    read: Callable[[Path], LoadedModel]
    """what was written, as a model again, read from the files alone"""
    kinds: tuple[str, ...] = ("causal", "seq2seq")

    def describe(self) -> dict[str, str]:
        """The entry as text: a row of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "dtypes": ", ".join(self.dtypes),
            "models": ", ".join(self.kinds),
        }

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
            {"float32": 1e-4, "bfloat16": 1e-2, "float16": 1e-2},
            plain.write,
            plain.read,
        ),
    )
}


def format_of(name: str) -> Format:
    """A format by name. Raises UsageError."""
    if name not in FORMATS:
        raise UsageError(f"--format {name}: unknown format", hint=did_you_mean(name, list(FORMATS)))
    return FORMATS[name]

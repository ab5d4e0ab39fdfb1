"""What a registry entry of a method says; the CLI, docs and test matrix derive from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


class MethodOptions(BaseModel):
    """Base of every method's settings (section `method` of a config)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str

    def changes_base(self) -> bool:
        """Whether training changes parameters of the base model itself, so that it must be loaded anew to be clean."""
        return False


@dataclass(frozen=True)
class Method:
    """A way to train few parameters of a model."""

    name: str
    summary: str
    paper: str
    options: type[MethodOptions]
    attach: Callable[[Any, Any, str], Any]
    """(model, options, kind) -> the same model with a few trainable parameters"""
    kinds: tuple[str, ...]
    """model kinds it works on: causal, seq2seq"""
    mergeable: bool
    saved_format: str

    def describe(self) -> dict[str, str]:
        """The entry as text: a row of `fintune methods` and of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "paper": self.paper,
            "models": ", ".join(self.kinds),
            "mergeable": "yes" if self.mergeable else "no",
            "saved as": self.saved_format,
        }

"""What a registry entry of a method says; the CLI, docs and test matrix derive from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class MethodOptions(BaseModel):
    """Base of every method's settings (section `method` of a config)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str

    def changes_base(self) -> bool:
        """Whether training changes parameters of the base model itself, so that it must be loaded anew to be clean."""
        return False

    def resolved(self, tokenizer: Any) -> Self:
        """The settings with what depends on the tokenizer put into numbers. Raises ModelError when it knows no such thing."""
        return self


def _as_attached(model: Any, options: Any, losses: Sequence[Callable[[], Any]]) -> None:
    """Leave the start that `attach` gave."""


@dataclass(frozen=True)
class Method:
    """A way to train few parameters of a model."""

    name: str
    summary: str
    paper: str
    options: type[MethodOptions]
    attach: Callable[[Any, Any, str], Any]
    """(model, resolved options, kind) -> the same model with a few trainable parameters"""
    kinds: tuple[str, ...]
    """model kinds it works on: causal, seq2seq"""
    mergeable: bool
    saved_format: str
    initialise: Callable[[Any, Any, Sequence[Callable[[], Any]]], None] = _as_attached
    """(attached model, options, losses): a start that depends on the training part; each loss reads one example of it"""

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

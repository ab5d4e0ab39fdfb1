"""The engines there are and what each can do; to add one: an entry here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fintune.errors import ModelError, UsageError, did_you_mean
from fintune.models import LoadedModel
from fintune.models.blocks import unwrap
from fintune.models.quantization import is_quantized
from fintune.runtime.threads import int8_gain


def _as_it_is(loaded: LoadedModel, read_texts: Callable[[], object]) -> None:
    """Nothing to prepare."""


def _int8(loaded: LoadedModel, read_texts: Callable[[], object]) -> None:
    from fintune.inference.engines.int8 import quantize

    if not quantize(loaded.model, read_texts):
        raise ModelError(
            "--engine int8: none of this model's blocks has plain linear layers", hint="Use --engine torch."
        )


def _integers_pay() -> str:
    gain = int8_gain()
    return "" if gain > 1 else f"this CPU multiplies 8-bit integers at {gain:.2g} times the speed of float32"


def _anywhere() -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class EngineEntry:
    """A way to run a model whose adapter has been merged."""

    name: str
    summary: str
    kinds: tuple[str, ...]
    """Model kinds it runs: causal, seq2seq."""
    devices: tuple[str, ...]
    """Devices it runs on."""
    exact: bool
    """Whether it gives what the model gives; where not, it is checked on the run's own validation texts before it is used."""
    prepare: Callable[[LoadedModel, Callable[[], object]], None]
    """(model, something that has it read a few texts): change the model in place."""
    margin: float = 0.0
    """Where its best answer leads by a smaller probability, the exact model is asked (fallback.py)."""
    quantized: bool = False
    """Whether it runs a base model that is held in 4 or 8 bits."""
    hindered: Callable[[], str] = _anywhere
    """Says what speaks against it on this machine, nothing if empty."""
    version: int = 1
    """Raised when its numbers change: runs checked with another are checked again."""

    def describe(self) -> dict[str, str]:
        """Return the entry as text: a row of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "models": ", ".join(self.kinds),
            "devices": ", ".join(self.devices),
            "equal": "yes" if self.exact else "checked on the run's validation texts",
        }

    def need_machine(self) -> None:
        """Raise ModelError when this machine is not made for it; asked before weights load."""
        if problem := self.hindered():
            hint = "Use --engine torch, or an export for CTranslate2: --format ctranslate2 --dtype int8."
            raise ModelError(f"--engine {self.name}: {problem}", hint=hint)

    def need(self, loaded: LoadedModel) -> None:
        """Raise ModelError when it cannot run this model where it is."""
        if loaded.kind not in self.kinds or loaded.device.type not in self.devices:
            raise ModelError(
                f"--engine {self.name}: runs {', '.join(self.kinds)} models on {', '.join(self.devices)}; "
                f"this one is {loaded.kind} on {loaded.device.type}",
                hint="Use --engine torch.",
            )
        if not self.quantized and is_quantized(unwrap(loaded.model)):
            raise ModelError(
                f"--engine {self.name}: the run's base model is held in fewer bits already (model.quantization)",
                hint="Use --engine torch.",
            )


_BOTH = ("causal", "seq2seq")
ENGINES = {
    entry.name: entry
    for entry in (
        EngineEntry(
            name="torch",
            summary="transformers in this process",
            kinds=_BOTH,
            devices=("cpu", "cuda", "mps"),
            exact=True,
            prepare=_as_it_is,
            quantized=True,
        ),
        EngineEntry(
            name="int8",
            summary="8-bit integer products: faster; close calls are read again in full precision",
            kinds=_BOTH,
            devices=("cpu",),
            exact=False,
            prepare=_int8,
            margin=0.5,
            hindered=_integers_pay,
            version=5,
        ),
    )
}


def entry_of(name: str, exports: Sequence[str] = ()) -> EngineEntry:
    """Return an engine by name. Raises UsageError, which names those that a run's exports are too."""
    if name not in ENGINES:
        raise UsageError(f"--engine {name}: unknown engine", hint=did_you_mean(name, [*ENGINES, *exports]))
    return ENGINES[name]

"""Adapters that PEFT made elsewhere, of whatever method: opened, merged and exported here, never trained.

Example:
    METHODS["peft"].merged(model, ForeignOptions(peft_type="HRA"))
"""

from typing import TYPE_CHECKING, Literal, NoReturn

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods.protocol import Method, MethodOptions, merge_with_peft

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from fintune.models.annotations import Model

_IN_LAYERS = ("LORA", "ADALORA", "LOHA", "LOKR", "VERA", "IA3", "LN_TUNING")
"""Types that change layers one position at a time, so that texts may be padded and read together"""
_BEFORE_THE_TEXT = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE")


class ForeignOptions(MethodOptions):
    """Settings of method `peft`; the adapter's own are in its adapter_config.json."""

    name: Literal["peft"] = "peft"
    peft_type: str = Field("LORA", pattern=r"^[A-Z0-9_]{1,40}$", description="What PEFT calls the adapter's method.")

    def no_merge(self) -> str:
        """Say that vectors before the text cannot be merged."""
        return "vectors before the text are no weights of the base model" if self.peft_type in _BEFORE_THE_TEXT else ""

    def one_length_at_a_time(self) -> bool:
        """Tell whether the adapter does more than change layers."""
        return self.peft_type not in _IN_LAYERS


def _never(model: "Model", options: ForeignOptions, kind: str) -> NoReturn:
    raise ModelError(
        "method.name: peft is an adapter trained elsewhere, and cannot be trained",
        hint="Choose another: fintune methods.",
    )


def _merge(model: "PeftModel") -> "PreTrainedModel":
    """Return the base model with the update in its weights. Raises ModelError where PEFT has no way to."""
    try:
        return merge_with_peft(model)
    except (NotImplementedError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"the adapter cannot be merged: {reason}", hint="Use it as an adapter.") from None


FOREIGN = Method(
    name="peft",
    summary="An adapter that PEFT made elsewhere: opened, not trained",
    paper="github.com/huggingface/peft",
    options=ForeignOptions,
    attach=_never,
    merge=_merge,
    trains=False,
    learning_rate=1e-4,
    learning_rate_source="it is not trained",
)

"""Methods that are LoRA with some settings fixed under a name of their own, so that they can be chosen and compared by it.

Example:
    METHODS["dora"].options(r=16).use_dora
    # True
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from fintune.methods.lora.loftq import approximate
from fintune.methods.lora.lora import LORA, attach
from fintune.methods.lora.options import LoraOptions
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    from peft import PeftModel

    from fintune.models.annotations import Loss


def _options(name: str, **fixed: Any) -> type[LoraOptions]:
    """Make LoraOptions called `name`, with other defaults; a fixed True stays so."""
    fields: dict[str, Any] = {"name": (Literal[name], name)}
    for key, value in fixed.items():
        kind = Literal[True] if value is True else LoraOptions.model_fields[key].annotation
        fields[key] = (kind, Field(value, description=LoraOptions.model_fields[key].description))
    return create_model(f"{name.title()}Options", __base__=LoraOptions, **fields)


class LoraPlusOptions(LoraOptions):
    """Settings of method `lora-plus`."""

    name: Literal["lora-plus"] = "lora-plus"  # type: ignore[assignment]
    ratio: float = Field(16.0, ge=1, description="The learning rate of B over that of A.")


def _variant(name: str, summary: str, paper: str, options: type[MethodOptions], **more: Any) -> Method:
    settings: dict[str, Any] = {
        "initialize": LORA.initialize,
        "learning_rate": LORA.learning_rate,
        "learning_rate_source": "as lora's",
    } | more
    return Method(name=name, summary=summary, paper=paper, options=options, attach=attach, **settings)


def _rates(model: "PeftModel", options: LoraPlusOptions) -> dict[str, float]:
    return {"lora_B": options.ratio}


def _loftq(model: "PeftModel", options: LoraOptions, losses: "Sequence[Loss]") -> None:
    approximate(model)


RSLORA = _variant(
    "rslora",
    "LoRA scaled by alpha / sqrt(r), so that large ranks learn too",
    "Kalajdzievski 2023, arXiv:2312.03732",
    _options("rslora", use_rslora=True, lora_alpha=16),
)
DORA = _variant(
    "dora",
    "LoRA for the direction of weights, and a vector for their length",
    "Liu et al. 2024, arXiv:2402.09353",
    _options("dora", use_dora=True),
)
PISSA = _variant(
    "pissa",
    "LoRA that starts from the largest singular directions of the weights",
    "Meng et al. 2024, arXiv:2404.02948",
    _options("pissa", init_lora_weights="pissa_niter_4", lora_alpha=8),
    quantized=False,
    learning_rate=2e-4,
    learning_rate_source="ours, not searched; its adapter starts at the size of the weights",
)
LORA_PLUS = _variant(
    "lora-plus",
    "LoRA whose B learns faster than its A",
    "Hayou et al. 2024, arXiv:2402.12354",
    LoraPlusOptions,
    rates=_rates,
    learning_rate=2e-4,
    learning_rate_source="A's, ours, not searched; B's is ratio times as large",
)
LOFTQ = _variant(
    "loftq",
    "LoRA on a 4-bit model that starts by making up for what the 4 bits lost",
    "Li et al. 2023, arXiv:2310.08659",
    _options("loftq"),
    only="nf4",
    initialize=_loftq,
)

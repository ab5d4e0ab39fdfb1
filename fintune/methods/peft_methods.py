"""Methods that PEFT has and that stand in chosen linear layers: AdaLoRA, LoHa, LoKr, VeRA, IA3; and the norms (LN tuning).

Example:
    METHODS["ia3"].attach(model, IA3Options(), "causal")
"""

import warnings
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from fintune.errors import ModelError
from fintune.methods import adalora
from fintune.methods.protocol import Method, MethodOptions
from fintune.methods.targets import TargetOptions, chosen_layers
from fintune.models.blocks import towers_without_text, unwrap
from fintune.runtime.library_messages import FAN_IN, TIED_MODEL, UNKNOWN_LAYER

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel

    from fintune.models.annotations import Model

_IRRELEVANT_WARNINGS = "|".join((TIED_MODEL, UNKNOWN_LAYER, FAN_IN))
TASK_TYPES = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}
"""What PEFT calls our kinds."""


class AdaLoraOptions(TargetOptions):
    """Settings of method `adalora`."""

    name: Literal["adalora"] = "adalora"
    init_r: int = Field(12, ge=1, le=4096, description="Rank of each layer at the start.")
    target_r: int = Field(8, ge=1, le=4096, description="Mean rank at the end; layers that matter more keep more.")
    lora_alpha: int = Field(32, ge=1, description="The update is scaled by lora_alpha / r.")
    lora_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout on the input of the update.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps before ranks begin to fall.")
    final: float = Field(0.3, ge=0, lt=1, description="Share of the steps after they have fallen.")
    orthogonality: float = Field(0.5, ge=0, description="Weight of the loss that keeps P and Q orthogonal.")


class LoHaOptions(TargetOptions):
    """Settings of method `loha`."""

    name: Literal["loha"] = "loha"
    r: int = Field(8, ge=1, le=4096, description="Rank of each of the two factors; their product has up to its square.")
    alpha: int = Field(16, ge=1, description="The update is scaled by alpha / r.")
    rank_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on ranks.")


class LoKrOptions(TargetOptions):
    """Settings of method `lokr`."""

    name: Literal["lokr"] = "lokr"
    r: int = Field(8, ge=1, le=4096, description="Rank of the larger factor of the Kronecker product.")
    alpha: int = Field(16, ge=1, description="The update is scaled by alpha / r.")
    rank_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on ranks.")


class VeraOptions(TargetOptions):
    """Settings of method `vera`."""

    name: Literal["vera"] = "vera"
    r: int = Field(256, ge=1, le=16384, description="Rank of the frozen random matrices that all layers share.")
    vera_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of the update.")
    d_initial: float = Field(0.1, gt=0, description="Start of the vector behind the first matrix.")


class IA3Options(TargetOptions):
    """Settings of method `ia3`."""

    name: Literal["ia3"] = "ia3"
    target_modules: str | list[str] = Field(
        "auto", description="auto = keys, values, and what a feed-forward's last layer reads; or names, or one regex."
    )


class NormOptions(MethodOptions):
    """Settings of method `norms`."""

    name: Literal["norms"] = "norms"


def _peft(model: "Model", config: "PeftConfig") -> "PeftModel":
    """Have PEFT put its layers in; what it refuses is said in one line."""
    from peft import get_peft_model

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_IRRELEVANT_WARNINGS)
            tuned: PeftModel = get_peft_model(unwrap(model), config)
    except (ValueError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"method: PEFT cannot do this on this model: {reason}", hint="Use method lora.") from None
    return tuned


def _adalora(model: "Model", options: AdaLoraOptions, kind: str) -> "PeftModel":
    from peft import AdaLoraConfig

    config = AdaLoraConfig(
        task_type=TASK_TYPES[kind],
        target_modules=options.regex(model),
        init_r=options.init_r,
        target_r=options.target_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        orth_reg_weight=options.orthogonality,
        deltaT=1,
        tinit=1,
        tfinal=1,
        total_step=adalora.NOT_YET,
    )
    tuned = _peft(model, config)
    adalora.remember_shares(tuned, options.warmup, options.final)
    return tuned


def _loha(model: "Model", options: LoHaOptions, kind: str) -> "PeftModel":
    from peft import LoHaConfig

    settings = options.model_dump(include={"r", "alpha", "rank_dropout"})
    return _peft(model, LoHaConfig(task_type=TASK_TYPES[kind], target_modules=options.regex(model), **settings))


def _lokr(model: "Model", options: LoKrOptions, kind: str) -> "PeftModel":
    from peft import LoKrConfig

    settings = options.model_dump(include={"r", "alpha", "rank_dropout"})
    return _peft(model, LoKrConfig(task_type=TASK_TYPES[kind], target_modules=options.regex(model), **settings))


def _vera(model: "Model", options: VeraOptions, kind: str) -> "PeftModel":
    from peft import VeraConfig

    settings = options.model_dump(include={"r", "vera_dropout", "d_initial"})
    return _peft(model, VeraConfig(task_type=TASK_TYPES[kind], target_modules=options.regex(model), **settings))


_KEYS_VALUES = ("k_proj", "v_proj", "k", "v", "key", "value", "query_key_value", "c_attn", "qkv_proj")
_INWARD = ("down_proj", "wo", "fc2", "dense_4h_to_h", "c_proj", "w2")


def _ia3(model: "Model", options: IA3Options, kind: str) -> "PeftModel":
    """Scale keys and values at the layers' outputs, and the feed-forward's inner states at the input of its last layer."""
    from peft import IA3Config

    layers = list(chosen_layers(model, options))
    inward = [n for n in layers if n.rpartition(".")[2] in _INWARD and "attn" not in n]
    if options.target_modules == "auto":
        layers = [n for n in layers if n.rpartition(".")[2] in _KEYS_VALUES or n in inward]
    return _peft(
        model, IA3Config(task_type=TASK_TYPES[kind], target_modules=layers, feedforward_modules=inward)
    )  # fmt: skip


def _norms(model: "Model", options: NormOptions, kind: str) -> "PeftModel":
    from peft import LNTuningConfig

    towers = towers_without_text(model)
    names = [
        name
        for name, module in model.named_modules()
        if "Norm" in type(module).__name__ and not name.startswith(towers) and list(module.parameters(recurse=False))
    ]
    if not names:
        raise ModelError("method.name: norms: this model has no norms with weights", hint="Use method lora.")
    return _peft(model, LNTuningConfig(task_type=TASK_TYPES[kind], target_modules=names))


ADALORA = Method(
    name="adalora",
    summary="LoRA whose ranks go where they matter, as singular values are dropped",
    paper="Zhang et al. 2023, arXiv:2303.10512",
    options=AdaLoraOptions,
    attach=_adalora,
    steps=adalora.ADALORA_STEPS,
    learning_rate=2e-3,
    learning_rate_source="within arXiv:2303.10512's on GLUE, 5e-4 to 2.2e-3",
)
LOHA = Method(
    name="loha",
    summary="The elementwise product of two low-rank updates",
    paper="Hyeon-Woo et al. 2021, arXiv:2108.06098",
    options=LoHaOptions,
    attach=_loha,
    quantized=False,
    learning_rate=1e-3,
    learning_rate_source="ours, not searched",
)
LOKR = Method(
    name="lokr",
    summary="The Kronecker product of a small matrix and a low-rank one",
    paper="Yeh et al. 2023, arXiv:2309.14859",
    options=LoKrOptions,
    attach=_lokr,
    quantized=False,
    learning_rate=2e-3,
    learning_rate_source="ours, not searched",
)
VERA = Method(
    name="vera",
    summary="Two vectors a layer train around random matrices that all layers share",
    paper="Kopiczko et al. 2023, arXiv:2310.11454",
    options=VeraOptions,
    attach=_vera,
    learning_rate=4e-3,
    learning_rate_source="of arXiv:2310.11454's order, about ten times lora's",
)
IA3 = Method(
    name="ia3",
    summary="Keys, values and inner states are scaled by learned vectors",
    paper="Liu et al. 2022, arXiv:2205.05638",
    options=IA3Options,
    attach=_ia3,
    learning_rate=1e-2,
    learning_rate_source="between arXiv:2205.05638's 3e-3 and the best of three on AllAgree's validation part, docs/log/2026-11.md",
)
NORMS = Method(
    name="norms",
    summary="The weights of the norms train",
    paper="Zhao et al. 2023, arXiv:2312.11420",
    options=NormOptions,
    attach=_norms,
    learning_rate=1e-3,
    learning_rate_source="ours, not searched",
)

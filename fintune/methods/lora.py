"""LoRA: a low-rank update beside frozen linear layers (Hu et al. 2021), PEFT underneath."""

import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from fintune.errors import ModelError
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    from torch import nn

_BLOCK = re.compile(r"^(?P<stem>.*?)\.(?P<index>\d+)\.(?P<inner>.+)$")
_TASK_TYPES = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}


class LoraOptions(MethodOptions):
    """Settings of method `lora`."""

    name: Literal["lora"] = "lora"
    r: int = Field(8, ge=1, le=4096, description="Rank of the update.")
    lora_alpha: int = Field(32, ge=1, description="The update is scaled by lora_alpha / r.")
    lora_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout on the input of the update.")
    target_modules: str | list[str] = Field(
        "auto", description="auto = every linear layer of the transformer blocks; or names, or one regex."
    )

    @field_validator("target_modules")
    @classmethod
    def _regex_is_one(cls, chosen: str | list[str]) -> str | list[str]:
        if not chosen:
            raise ValueError("names no layer; leave it out for auto")
        if isinstance(chosen, str):
            try:
                re.compile(chosen)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        return chosen


def block_linear_layers(model: "nn.Module") -> str:
    """A regex for the full names of all linear layers inside the model's numbered blocks (`layers.3.mlp.up_proj`).

    The head and the embeddings stand outside the blocks and are left alone. Raises ModelError when there is none.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found: dict[str, set[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and (match := _BLOCK.match(name)):
            found.setdefault(match["stem"], set()).add(match["inner"])
    if not found:
        raise ModelError(
            "method.target_modules: the model has no linear layers in numbered blocks",
            hint="Name the layers to adapt in method.target_modules.",
        )
    parts = [
        rf"{re.escape(stem)}\.\d+\.(?:{'|'.join(map(re.escape, sorted(inner)))})"
        for stem, inner in sorted(found.items())
    ]
    return "|".join(parts)


def attach(model: Any, options: LoraOptions, kind: str) -> Any:
    """Wrap `model` into a PeftModel whose LoRA weights alone train. Draws from torch's generator: seed it first."""
    from peft import LoraConfig, get_peft_model

    chosen = options.target_modules
    config = LoraConfig(
        task_type=_TASK_TYPES[kind],
        r=options.r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=block_linear_layers(model) if chosen == "auto" else chosen,
    )
    tied = model.get_output_embeddings() if getattr(model.config, "tie_word_embeddings", False) else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*tie_word_embeddings")  # refused below
            tuned = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"method.target_modules: {str(error).splitlines()[0]}",
            hint="Use target_modules: auto, or names of linear layers of this model.",
        ) from None
    if tied is not None and model.get_output_embeddings() is not tied:
        raise ModelError(
            "method.target_modules: the head of this model is its embedding (tied weights) and cannot be adapted apart",
            hint="Leave lm_head out of method.target_modules.",
        )
    return tuned


LORA = Method(
    name="lora",
    summary="low-rank update beside each linear layer",
    paper="arXiv 2106.09685",
    options=LoraOptions,
    attach=attach,
    kinds=("causal", "seq2seq"),
    mergeable=True,
    saved_format="peft",
)

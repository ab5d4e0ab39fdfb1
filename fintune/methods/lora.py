"""LoRA: a low-rank update beside frozen linear layers (Hu et al. 2021), PEFT underneath."""

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from fintune.errors import ModelError
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    from torch import nn

_BLOCK = re.compile(r"^(?P<stem>.*?)\.(?P<index>\d+)\.(?P<inner>.+)$")
_AS_THEY_ARE = {
    "r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights", "use_rslora", "use_dora",
}  # fmt: skip
"""options that PEFT takes under the same name and meaning"""
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
    exclude_modules: str | list[str] = Field([], description="Names, or one regex, of layers to leave out again.")
    layers_to_transform: list[int] = Field([], description="Numbers of the blocks to adapt, from 0; empty: all.")
    rank_pattern: dict[str, int] = Field({}, description="Another r for some layers: {regex of the name's end: r}.")
    alpha_pattern: dict[str, int] = Field({}, description="Another lora_alpha for some layers.")
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        description="Biases that train too: none | all | lora_only (of the adapted layers); saved with the adapter.",
    )
    modules_to_save: list[str] = Field([], description="Layers trained in full and saved with the adapter.")
    init_lora_weights: bool | Literal["gaussian", "orthogonal", "pissa", "olora"] = Field(
        True,
        description="true: B is zero, A random | false: both random | gaussian | orthogonal | pissa (2404.02948) | olora (2406.01775).",
    )
    use_rslora: bool = Field(False, description="Scale by lora_alpha / sqrt(r) (arXiv 2312.03732).")
    use_dora: bool = Field(False, description="Learn magnitudes apart from directions (arXiv 2402.09353); slower.")
    fan_in_fan_out: bool | None = Field(
        None, description="Whether weights are stored (in, out); null: found (GPT-2's are)."
    )

    def changes_base(self) -> bool:
        """See MethodOptions. PEFT's unload leaves trained biases and trained copies of modules_to_save in the model, and
        some initialisations take from the base what the adapter starts with. (PEFT's pissa_niter_N is not offered: its
        random projection is drawn anew on loading, and the adapter no longer fits what the base has given away.)
        """
        moved = str(self.init_lora_weights).startswith(("pissa", "olora"))
        return self.bias != "none" or bool(self.modules_to_save) or moved

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _positive(cls, patterns: dict[str, int]) -> dict[str, int]:
        for pattern, value in patterns.items():
            _compiled(pattern)
            if value < 1:
                raise ValueError(f"{pattern}: must be 1 or more")
        return patterns

    @field_validator("target_modules")
    @classmethod
    def _regex_is_one(cls, chosen: str | list[str]) -> str | list[str]:
        if not chosen:
            raise ValueError("names no layer; leave it out for auto")
        if isinstance(chosen, str):
            _compiled(chosen)
        return chosen


def _compiled(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def block_linear_layers(model: "nn.Module", blocks: Sequence[int] = ()) -> str:
    """A regex for the full names of all linear layers inside the model's numbered blocks (`layers.3.mlp.up_proj`).

    Of all blocks, or of those whose numbers are given. The head and the embeddings stand outside the blocks and are left
    alone, and so is a tower that reads no text. Raises ModelError when there is none, or no block of a given number.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found: dict[str, set[str]] = {}
    numbers: set[int] = set()
    towers = _towers_without_text(model)
    for name, module in model.named_modules():
        if name.startswith(towers):
            continue
        if isinstance(module, nn.Linear | Conv1D) and (match := _BLOCK.match(name)):
            found.setdefault(match["stem"], set()).add(match["inner"])
            numbers.add(int(match["index"]))
    if not found:
        raise ModelError(
            "method.target_modules: the model has no linear layers in numbered blocks",
            hint="Name the layers to adapt in method.target_modules.",
        )
    if missing := sorted(set(blocks) - numbers):
        raise ModelError(
            f"method.layers_to_transform: no block {missing[0]}", hint=f"The model has blocks 0 to {max(numbers)}."
        )
    index = rf"(?:{'|'.join(map(str, sorted(set(blocks))))})" if blocks else r"\d+"
    parts = [
        rf"{re.escape(stem)}\.{index}\.(?:{'|'.join(map(re.escape, sorted(inner)))})"
        for stem, inner in sorted(found.items())
    ]
    return "|".join(parts)


def _towers_without_text(model: "nn.Module") -> tuple[str, ...]:
    """Prefixes of the parts that read images or sound alone, which transformers' models declare."""
    parts = model.named_modules()
    return tuple(f"{name}." for name, part in parts if "text" not in getattr(part, "input_modalities", "text"))


def attach(model: Any, options: LoraOptions, kind: str) -> Any:
    """Wrap `model` into a PeftModel whose LoRA weights alone train. Draws from torch's generator: seed it first."""
    from peft import LoraConfig, get_peft_model

    auto = options.target_modules == "auto"
    config = LoraConfig(
        task_type=_TASK_TYPES[kind],
        target_modules=block_linear_layers(model, options.layers_to_transform) if auto else options.target_modules,
        layers_to_transform=None if auto else options.layers_to_transform or None,
        exclude_modules=options.exclude_modules or None,
        modules_to_save=options.modules_to_save or None,
        fan_in_fan_out=_is_transposed(model) if options.fan_in_fan_out is None else options.fan_in_fan_out,
        **options.model_dump(include=_AS_THEY_ARE),
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


def _is_transposed(model: Any) -> bool:
    """Whether the blocks' layers are GPT-2's Conv1D, which stores weights as (in, out)."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())


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

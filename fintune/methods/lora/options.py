"""The settings of method `lora`: PEFT's LoraConfig under the same names, checked before anything is loaded.

Example:
    LoraOptions(r=16, init_lora_weights="eva").resolved(tokenizer)
"""

import re
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from fintune.errors import ModelError, did_you_mean
from fintune.methods.targets import TargetOptions, compiled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_STARTS = ("gaussian", "orthogonal", "mica", "pissa", "pissa_niter_4", "olora", "eva", "corda", "lora_ga")
_FROM_WEIGHTS = ("pissa", "olora", "mica", "corda", "lora_ga")
_NITER = re.compile(r"pissa_niter_\d+")


class LoraOptions(TargetOptions):
    """Settings of method `lora`."""

    name: Literal["lora"] = "lora"
    r: int = Field(8, ge=1, le=4096, description="Rank of the update.")
    lora_alpha: int = Field(32, ge=1, description="The update is scaled by lora_alpha / r.")
    lora_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout on the input of the update.")
    exclude_modules: str | list[str] = Field([], description="Names, or one regex, of layers to leave out again.")
    layers_to_transform: list[int] = Field([], description="PEFT's name for layers, numbers alone.")
    rank_pattern: dict[str, int] = Field({}, description="Another r for some layers: {regex of the name's end: r}.")
    alpha_pattern: dict[str, int] = Field({}, description="Another lora_alpha for some layers.")
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        description="Biases that train too: none | all | lora_only (of the adapted layers); saved with the adapter.",
    )
    modules_to_save: list[str] = Field([], description="Layers trained in full and saved with the adapter.")
    trainable_tokens: list[str | NonNegativeInt] = Field(
        [],
        description="Tokens of the vocabulary whose embeddings train too: text that is one token, or ids; new ones cannot be added.",
    )
    init_lora_weights: bool | str = Field(
        True,
        description="true: B is zero, A random | false: both random | gaussian | orthogonal | mica (2604.01694) | pissa (2404.02948)"
        " | pissa_niter_4 (or another number: faster) | olora (2406.01775); from the training part: eva (2410.07170)"
        " | corda (2406.05223) | lora_ga (2407.05000).",
    )
    eva_rho: float = Field(
        2.0, ge=1, le=100, description="eva: a layer's rank may grow to so many times r, others shrink; 1: all keep r."
    )
    corda_method: Literal["ipm", "kpm"] = Field(
        "ipm", description="corda: ipm learns what the examples are about, kpm keeps it."
    )
    use_rslora: bool = Field(False, description="Scale by lora_alpha / sqrt(r) (arXiv 2312.03732).")
    use_dora: bool = Field(False, description="Learn magnitudes apart from directions (arXiv 2402.09353); slower.")
    fan_in_fan_out: bool | None = Field(
        None, description="Whether weights are stored (in, out); null: found (GPT-2's are)."
    )

    def changes_base(self) -> bool:
        """Tell whether the base changes. PEFT's unload leaves trained biases and trained copies of modules_to_save in the model, and
        some initializations take from the base what the adapter starts with. Trained tokens stand beside the embedding.
        """
        moved = str(self.init_lora_weights).startswith(("pissa", "olora", "corda", "lora_ga"))
        return self.bias != "none" or bool(self.modules_to_save) or moved

    def resolved(self, tokenizer: "PreTrainedTokenizerBase") -> Self:
        """Return the settings with trainable_tokens as ids, each once."""
        ids = {_token_id(token, tokenizer) for token in self.trainable_tokens}
        return self.model_copy(update={"trainable_tokens": sorted(ids)})

    def no_quantization(self, quantization: str) -> str:
        """Say why a start or DoRA needs weights in full."""
        if self.use_dora and quantization == "int8":
            return "method.use_dora needs the lengths of weights, which PEFT cannot take in 8 bits"
        start = str(self.init_lora_weights).partition("_niter_")[0]
        if start in _FROM_WEIGHTS:
            return f"method.init_lora_weights: {start} starts from the base model's weights in full"
        return ""

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _positive(cls, patterns: dict[str, int]) -> dict[str, int]:
        for pattern, value in patterns.items():
            compiled(pattern)
            if value < 1:
                raise ValueError(f"{pattern}: must be 1 or more")
        return patterns

    @field_validator("exclude_modules")
    @classmethod
    def _exclusion_is_a_regex(cls, chosen: str | list[str]) -> str | list[str]:
        if isinstance(chosen, str):
            compiled(chosen)
        return chosen

    @field_validator("layers_to_transform")
    @classmethod
    def _numbers_from_zero(cls, chosen: list[int]) -> list[int]:
        if chosen and min(chosen) < 0:
            raise ValueError("needs numbers from 0")
        return chosen

    @field_validator("init_lora_weights")
    @classmethod
    def _start_is_known(cls, start: bool | str) -> bool | str:
        if isinstance(start, bool) or start in _STARTS or _NITER.fullmatch(start):
            return start
        if start == "loftq":
            raise ValueError("loftq makes up for a quantized base model: use method loftq with model.quantization: nf4")
        raise ValueError(f"unknown initialization. {did_you_mean(start, ['true', 'false', *_STARTS])}")

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        start, ranks = self.init_lora_weights, [self.r, *self.rank_pattern.values()]
        if start == "orthogonal" and (odd := [r for r in ranks if r % 2]):
            raise ValueError(f"init_lora_weights: orthogonal needs even ranks, not {odd[0]}: change r or rank_pattern")
        if start == "mica" and self.use_dora:
            raise ValueError("init_lora_weights: mica and use_dora cannot be combined: choose one")
        return self

    @model_validator(mode="after")
    def _blocks_and_names(self) -> Self:
        """PEFT knows names in chosen blocks, unless they are a regex."""
        if self.layers != "all" and self.layers_to_transform:
            raise ValueError("layers and layers_to_transform both choose blocks: use layers")
        chosen = "layers" if self.layers != "all" else "layers_to_transform" if self.layers_to_transform else None
        if chosen and isinstance(self.target_modules, str) and self.target_modules != "auto":
            raise ValueError(f"{chosen}: target_modules is a regex: put the numbers of the blocks into it")
        if isinstance(self.layers, str) and self.layers != "all" and self.target_modules != "auto":
            raise ValueError("layers: top:N goes with target_modules: auto; with names of your own, give numbers")
        return self

    @property
    def numbers(self) -> list[int]:
        """Blocks that are chosen by number; empty where they are not."""
        return self.layers if isinstance(self.layers, list) else self.layers_to_transform


def _token_id(token: str | int, tokenizer: "PreTrainedTokenizerBase") -> int:
    """Return the id of a token that is given as text, as it stands in the vocabulary (`▁up`), or as an id already."""
    if isinstance(token, int):
        return token
    pieces: list[int] = tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(pieces) == 1 and pieces[0] != tokenizer.unk_token_id:
        return pieces[0]
    index = tokenizer.convert_tokens_to_ids(token)
    if isinstance(index, int) and tokenizer.convert_ids_to_tokens(index) == token:
        return index
    split = " | ".join(tokenizer.convert_ids_to_tokens(pieces))
    raise ModelError(
        f"method.trainable_tokens: '{token}' is not one token of this tokenizer, but {len(pieces)}: {split}",
        hint="Name single tokens, or their ids.",
    )

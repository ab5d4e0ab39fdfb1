"""Section `model`: the base model, and how it is held."""

from typing import Literal, Self

from pydantic import Field, model_validator

from fintune.runtime.settings import Section


class ModelSection(Section):
    """The base model."""

    base: str = Field("embedded", description="embedded | embedded-seq2seq | folder | file.gguf | hub id")
    revision: str | None = Field(None, description="Commit or tag of a hub id; pin it for a reproducible run.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 on CUDA, else float32."
    )
    device: str = Field("auto", description="auto | cpu | cuda | cuda:1 | mps")
    quantization: Literal["none", "nf4", "int8"] = Field(
        "none", description="Hold the frozen base model in 4 bits (nf4) or 8 (int8); needs fintune[quantization]."
    )
    double_quantization: bool = Field(False, description="nf4: the scales are quantized too.")
    max_length: int = Field(
        256, ge=8, le=1_000_000, description="Tokens of prompt and answer; longer texts lose their middle."
    )
    max_new_tokens: int = Field(
        128,
        ge=1,
        le=100_000,
        description="Tokens of a written answer at most, on top of max_length; tasks with a closed set of answers need none.",
    )

    @model_validator(mode="after")
    def _scales_of_4_bits(self) -> Self:
        if self.double_quantization and self.quantization != "nf4":
            raise ValueError(f"double_quantization: goes with quantization: nf4, not {self.quantization}")
        return self

    @property
    def quantized(self) -> bool:
        """Whether the base model is held in fewer bits."""
        return self.quantization != "none"

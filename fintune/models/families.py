"""The model families that are tried out here, each as data; others that transformers loads may work and are not refused."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Family:
    """Models of one architecture."""

    name: str
    model_type: str
    """what config.json calls it"""
    kind: Literal["causal", "seq2seq"]
    examples: str
    """hub ids"""
    license: str
    """as the makers give it for most of these models; a model's own card decides"""
    half_precision: bool = True
    """whether its activations stay within float16's range"""


_GEMMA = "Gemma Terms of Use"

FAMILIES: tuple[Family, ...] = (
    Family("LLaMA", "llama", "causal", "meta-llama/Llama-3.2-1B", "Llama Community License"),
    Family("Qwen 2", "qwen2", "causal", "Qwen/Qwen2.5-0.5B", "Apache-2.0"),
    Family("Qwen 3", "qwen3", "causal", "Qwen/Qwen3-0.6B", "Apache-2.0"),
    Family("Gemma", "gemma", "causal", "google/gemma-2b", _GEMMA),
    Family("Gemma 3", "gemma3_text", "causal", "google/gemma-3-270m", _GEMMA),
    Family("Mistral", "mistral", "causal", "mistralai/Mistral-7B-v0.3", "Apache-2.0"),
    Family("GLM", "glm", "causal", "zai-org/glm-4-9b-hf", "GLM-4 License"),
    Family("Phi", "phi", "causal", "microsoft/phi-2", "MIT"),
    Family("BLOOM", "bloom", "causal", "bigscience/bloom-560m", "BigScience RAIL 1.0"),
    Family("GPT-2", "gpt2", "causal", "openai-community/gpt2", "MIT"),
    Family("T5, Flan-T5", "t5", "seq2seq", "google/flan-t5-base", "Apache-2.0", half_precision=False),
    Family("mT5, mT0", "mt5", "seq2seq", "bigscience/mt0-large", "Apache-2.0", half_precision=False),
    Family("BART", "bart", "seq2seq", "facebook/bart-base", "Apache-2.0"),
    Family("mBART", "mbart", "seq2seq", "facebook/mbart-large-cc25", "MIT"),
    Family("T5Gemma 2", "t5gemma2", "seq2seq", "google/t5gemma-2-270m-270m", _GEMMA),
)

OVERFLOW_IN_HALF = ("umt5", "longt5", *(family.model_type for family in FAMILIES if not family.half_precision))
"""types of models whose activations pass float16's range (github huggingface/transformers #5651)"""


_LEFT_OFF = ("attn_logit_softcapping", "final_logit_softcapping", "use_bidirectional_attention")


def beyond_gemma3(config: Any) -> list[str]:
    """Return what a config switches on of Gemma 3's code that its published language models leave off: other programs do not know it."""
    return [f"{name}={value}" for name in _LEFT_OFF if (value := getattr(config, name, None))]


def families() -> list[dict[str, str]]:
    """Rows for `fintune models`."""
    return [
        {"family": f.name, "model_type": f.model_type, "kind": f.kind, "for example": f.examples, "license": f.license}
        for f in FAMILIES
    ]

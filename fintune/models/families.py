"""The model families that are tried out here, each as data; others that transformers loads may work and are not refused.

>>> supporting("onnx")
('llama', 'qwen2', 'qwen3', 'gemma3_text')
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Capability = Literal["half_precision", "rotary", "ctranslate2", "gguf", "onnx"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models of one architecture, and what works with them; whoever needs a capability reads it here."""

    name: str
    model_type: str
    """What config.json calls it."""
    kind: Literal["causal", "seq2seq"]
    examples: str
    """Hub ids."""
    license: str
    """License the makers give most of these models; a model's own card decides."""
    half_precision: bool = True
    """Whether its activations stay within float16's range."""
    rotary: bool = False
    """Whether positions turn keys, so that padding between a shared beginning and a text changes nothing."""
    ctranslate2: bool = False
    """Whether CTranslate2's scores are torch's; its T5Gemma 2 differs from transformers'."""
    gguf: str = ""
    """What llama.cpp calls its architecture; empty where llama.cpp does not know it."""
    onnx: bool = False
    """Whether the graph of its decoder takes texts of every length."""

    def describe(self) -> dict[str, str]:
        """Return the entry as text: a row of the docs."""
        return {
            "family": self.name,
            "model_type": self.model_type,
            "kind": self.kind,
            "for example": self.examples,
            "license": self.license,
            "float16": _yes(self.half_precision),
            "shared beginnings read once": _yes(self.rotary),
            "ctranslate2": _yes(self.ctranslate2),
            "gguf": self.gguf or "no",
            "onnx": _yes(self.onnx),
        }


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


_GEMMA = "Gemma Terms of Use"

FAMILIES: tuple[Family, ...] = (
    Family(
        name="LLaMA",
        model_type="llama",
        kind="causal",
        examples="meta-llama/Llama-3.2-1B",
        license="Llama Community License",
        rotary=True,
        ctranslate2=True,
        gguf="llama",
        onnx=True,
    ),
    Family(
        name="Qwen 2",
        model_type="qwen2",
        kind="causal",
        examples="Qwen/Qwen2.5-0.5B",
        license="Apache-2.0",
        rotary=True,
        ctranslate2=True,
        gguf="qwen2",
        onnx=True,
    ),
    Family(
        name="Qwen 3",
        model_type="qwen3",
        kind="causal",
        examples="Qwen/Qwen3-0.6B",
        license="Apache-2.0",
        rotary=True,
        ctranslate2=True,
        gguf="qwen3",
        onnx=True,
    ),
    Family(
        name="Gemma",
        model_type="gemma",
        kind="causal",
        examples="google/gemma-2b",
        license=_GEMMA,
        rotary=True,
        ctranslate2=True,
    ),
    Family(
        name="Gemma 3",
        model_type="gemma3_text",
        kind="causal",
        examples="google/gemma-3-270m",
        license=_GEMMA,
        rotary=True,
        ctranslate2=True,
        gguf="gemma3",
        onnx=True,
    ),
    Family(
        name="Mistral",
        model_type="mistral",
        kind="causal",
        examples="mistralai/Mistral-7B-v0.3",
        license="Apache-2.0",
        rotary=True,
        ctranslate2=True,
    ),
    Family(
        name="GLM",
        model_type="glm",
        kind="causal",
        examples="zai-org/glm-4-9b-hf",
        license="GLM-4 License",
        rotary=True,
    ),
    Family(name="Phi", model_type="phi", kind="causal", examples="microsoft/phi-2", license="MIT", rotary=True),
    Family(
        name="BLOOM",
        model_type="bloom",
        kind="causal",
        examples="bigscience/bloom-560m",
        license="BigScience RAIL 1.0",
        ctranslate2=True,
    ),
    Family(
        name="GPT-2",
        model_type="gpt2",
        kind="causal",
        examples="openai-community/gpt2",
        license="MIT",
        ctranslate2=True,
    ),
    Family(
        name="T5, Flan-T5",
        model_type="t5",
        kind="seq2seq",
        examples="google/flan-t5-base",
        license="Apache-2.0",
        half_precision=False,
        ctranslate2=True,
        gguf="t5",
    ),
    Family(
        name="mT5, mT0",
        model_type="mt5",
        kind="seq2seq",
        examples="bigscience/mt0-large",
        license="Apache-2.0",
        half_precision=False,
        ctranslate2=True,
        gguf="t5",
    ),
    Family(name="BART", model_type="bart", kind="seq2seq", examples="facebook/bart-base", license="Apache-2.0"),
    Family(name="mBART", model_type="mbart", kind="seq2seq", examples="facebook/mbart-large-cc25", license="MIT"),
    Family(
        name="T5Gemma 2",
        model_type="t5gemma2",
        kind="seq2seq",
        examples="google/t5gemma-2-270m-270m",
        license=_GEMMA,
    ),
)


def supporting(capability: Capability) -> tuple[str, ...]:
    """Return the types of models that can do so, in the table's order."""
    return tuple(family.model_type for family in FAMILIES if getattr(family, capability))


def family_of(model_type: object) -> Family | None:
    """Return the family of what config.json calls a model; None for one that is not tried out here."""
    return next((family for family in FAMILIES if family.model_type == model_type), None)


OVERFLOW_IN_HALF = ("umt5", "longt5", *(family.model_type for family in FAMILIES if not family.half_precision))
"""Types of models whose activations pass float16's range (github huggingface/transformers #5651)."""

_LEFT_OFF = ("attn_logit_softcapping", "final_logit_softcapping", "use_bidirectional_attention")


def beyond_gemma3(config: "PreTrainedConfig") -> list[str]:
    """List what a config switches on of Gemma 3's code that published language models leave off: other programs do not know it."""
    return [f"{name}={value}" for name in _LEFT_OFF if (value := getattr(config, name, None))]


def families() -> list[dict[str, str]]:
    """List the families for `fintune models`."""
    columns = ("family", "model_type", "kind", "for example", "license")
    return [{column: row[column] for column in columns} for row in (family.describe() for family in FAMILIES)]

"""What is trained: the registry METHODS, one entry per parameter-efficient method, capabilities as data."""

from fintune.methods import bottleneck, lora_variants, peft_methods, prefix, soft_prompts, subsets
from fintune.methods.foreign import FOREIGN
from fintune.methods.lora import LORA
from fintune.methods.probe import LINEAR_PROBE
from fintune.methods.protocol import Method, MethodOptions

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        LORA,
        lora_variants.RSLORA,
        lora_variants.DORA,
        lora_variants.PISSA,
        lora_variants.LORA_PLUS,
        lora_variants.LOFTQ,
        peft_methods.ADALORA,
        peft_methods.LOHA,
        peft_methods.LOKR,
        peft_methods.VERA,
        peft_methods.IA3,
        peft_methods.NORMS,
        soft_prompts.PROMPT,
        soft_prompts.P_TUNING,
        prefix.PREFIX,
        prefix.P_TUNING_V2,
        bottleneck.HOULSBY,
        bottleneck.PFEIFFER,
        bottleneck.PARALLEL,
        subsets.BITFIT,
        subsets.FREEZE,
        subsets.FULL,
        LINEAR_PROBE,
        FOREIGN,
    )
}

__all__ = ["METHODS", "Method", "MethodOptions"]

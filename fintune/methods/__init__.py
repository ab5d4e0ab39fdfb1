"""What is trained: the registry METHODS, one entry per parameter-efficient method, capabilities as data."""

from fintune.methods import lora_variants, peft_methods, subsets
from fintune.methods.lora import LORA
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
        subsets.BITFIT,
        subsets.FREEZE,
        subsets.FULL,
    )
}

__all__ = ["METHODS", "Method", "MethodOptions"]

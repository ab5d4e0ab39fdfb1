"""What is trained: the registry METHODS, one entry per parameter-efficient method, capabilities as data (fields: protocol.Method)."""

from fintune.methods import bottleneck, peft_methods, prefix_tuning, selective, soft_prompts
from fintune.methods.foreign import FOREIGN
from fintune.methods.linear_probe import LINEAR_PROBE
from fintune.methods.lora import variants
from fintune.methods.lora.lora import LORA
from fintune.methods.protocol import Method, MethodOptions
from fintune.runtime.registry import Registry

METHODS = Registry[Method](
    [
        LORA,
        variants.RSLORA,
        variants.DORA,
        variants.PISSA,
        variants.LORA_PLUS,
        variants.LOFTQ,
        peft_methods.ADALORA,
        peft_methods.LOHA,
        peft_methods.LOKR,
        peft_methods.VERA,
        peft_methods.IA3,
        peft_methods.NORMS,
        soft_prompts.PROMPT,
        soft_prompts.P_TUNING,
        prefix_tuning.PREFIX,
        prefix_tuning.P_TUNING_V2,
        bottleneck.HOULSBY,
        bottleneck.PFEIFFER,
        bottleneck.PARALLEL,
        selective.BITFIT,
        selective.FREEZE,
        selective.FULL,
        LINEAR_PROBE,
        FOREIGN,
    ]
)

__all__ = ["METHODS", "Method", "MethodOptions"]

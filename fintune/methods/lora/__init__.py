"""LoRA and its family: options, variants, initializations, the fused layer."""

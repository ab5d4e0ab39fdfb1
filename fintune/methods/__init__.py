"""What is trained: the registry METHODS, one entry per parameter-efficient method, capabilities as data."""

from fintune.methods.lora import LORA
from fintune.methods.protocol import Method, MethodOptions

METHODS: dict[str, Method] = {method.name: method for method in (LORA,)}

__all__ = ["METHODS", "Method", "MethodOptions"]

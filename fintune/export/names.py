"""What formats and ways to combine are called, for help texts that must not load what writes them."""

from typing import Literal

FORMAT_NAMES = ("merged", "state-dict", "bitsandbytes", "gguf", "gguf-lora", "ctranslate2", "onnx")
"""Names of the formats: the keys of FORMATS."""
How = Literal["cat", "linear", "ties", "dare_linear", "dare_ties"]
"""Ways to combine.

cat: the weighted sum of the updates, exactly; linear: of their factors, roughly; ties: Yadav et al. 2023, arXiv:2306.01708, section 3;
dare: Yu et al. 2023, arXiv:2311.03099, section 3."""

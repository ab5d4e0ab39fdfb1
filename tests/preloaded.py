"""What a command that trains or answers imports; loaded once by the process that others are forked from (processes.py)."""

from importlib import import_module

for _name in (
    "fintune.cli.app", "fintune.training.train", "fintune.training.loop.trainer", "fintune.inference.predictor",
    "torch", "peft", "accelerate", "sklearn.linear_model", "transformers.trainer",
    "transformers.models.gemma3.modeling_gemma3", "transformers.models.mt5.modeling_mt5",
):  # fmt: skip
    import_module(_name)

"""What a method asks of the optimizer and of every step: learning rates of its own, an added loss, work after the step.

Example:
    set_rates(optimizer, model, {"lora_B": 16.0})       # LoRA+
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fintune.methods.protocol import Steps

_FILE = "method.safetensors"


def set_rates(optimizer: torch.optim.Optimizer, model: torch.nn.Module, rates: Mapping[str, float]) -> None:
    """Multiply the learning rate of parameters whose name holds a key by its factor; call before a schedule is made."""
    factors = {
        id(p): factor for name, p in model.named_parameters() for key, factor in rates.items() if f".{key}." in name
    }
    groups = []
    for group in optimizer.param_groups:
        for factor in sorted({factors.get(id(p), 1.0) for p in group["params"]}):
            parameters = [p for p in group["params"] if factors.get(id(p), 1.0) == factor]
            groups.append(group | {"params": parameters, "lr": group["lr"] * factor})
    optimizer.param_groups = groups


class StepsCallback(TrainerCallback):
    """Does what `Steps` says at the moments the Trainer names; its state is in every checkpoint."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._resumed = False

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module | None = None,
        **_: object,
    ) -> None:
        """Tell the method how many steps there will be."""
        if not self._resumed:
            self.steps.begin(model, state.max_steps)

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module | None = None,
        **_: object,
    ) -> None:
        """Let the method work after the optimizer has stepped, while gradients are there."""
        self.steps.stepped(model, state.global_step + 1)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the method's state into a checkpoint."""
        save_file({name: t.contiguous() for name, t in self.steps.state(model).items()}, folder / _FILE)

    def restore(self, model: torch.nn.Module, folder: Path, steps: int) -> None:
        """Read the method's state from a checkpoint of a training of so many steps."""
        self.steps.begin(model, steps)
        self.steps.restore(model, load_file(folder / _FILE))
        self._resumed = True

"""How the Trainer's checkpoints are written and read here: trainable parameters alone, sealed, no pickled arguments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from fintune.errors import RunError
from fintune.training.loop.arguments import steps
from fintune.training.loop.callback import Watch
from fintune.training.loop.checkpoints import Checkpoints
from fintune.training.loop.method_callback import StepsCallback

if TYPE_CHECKING:
    from transformers import Trainer as _Trainer
else:
    _Trainer = object

_WEIGHTS = "trainable.safetensors"


class SealedCheckpoints(_Trainer):
    """A mixin for Trainer. Optimizer, schedule and random states are the Trainer's own files, read with weights_only.

    Sharded training (FSDP, DeepSpeed) keeps the Trainer's own way for weights; that road is untested here.
    """

    watch: Watch
    checkpoints: Checkpoints
    method_steps: StepsCallback | None = None
    _staging: Path

    def take_up(self, checkpoint: Path) -> None:
        """Restore what the caller sees of a checkpoint, and judge an epoch that was trained but not judged."""
        self.watch.restore(checkpoint)
        self._load_from_checkpoint(str(checkpoint))
        if self.method_steps is not None:
            self.method_steps.restore(self.model, checkpoint, steps(self.watch.settings, len(self.train_dataset)))  # type: ignore[arg-type]
        self.watch.take_up(self.model)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self.args.should_save:  # processes other than the first of each machine: their random states only
            self._staging = self.checkpoints.folder / ".new"
            super()._save_checkpoint(model, trial)
            return
        self.checkpoints.save(self.state.global_step, lambda staging: self._fill(staging, model, trial))

    def _fill(self, staging: Path, model: Any, trial: Any) -> None:
        self._staging = staging
        super()._save_checkpoint(model, trial)
        self.watch.save(staging)
        if self.method_steps is not None:
            self.method_steps.save(self.model, staging)
        for file in (staging / f"checkpoint-{self.state.global_step}").iterdir():
            file.rename(staging / file.name)
        (staging / f"checkpoint-{self.state.global_step}").rmdir()

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self._staging)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: p.detach().cpu().contiguous() for n, p in self._trainable().items()}, folder / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved, own = load_file(Path(resume_from_checkpoint) / _WEIGHTS), self._trainable()
        if saved.keys() != own.keys():
            other = min(saved.keys() ^ own.keys())
            raise RunError(
                f"{resume_from_checkpoint}: of another model ({other})", hint="Train again with --overwrite."
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(saved[name])

    def _trainable(self) -> dict[str, torch.nn.Parameter]:
        assert self.model is not None
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

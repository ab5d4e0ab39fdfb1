"""Watches training: shows and logs where it stands, judges epochs, says when to save and when to stop."""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fintune.config.train import TrainSection
from fintune.runtime.memory import peak_memory
from fintune.runtime.progress import advance, tell
from fintune.runtime.units import remaining
from fintune.tasks.metrics import perplexity
from fintune.training.loop.failures import need_finite
from fintune.training.loop.first_losses import FirstLosses
from fintune.training.loop.hooks import Hooks, Judgment
from fintune.training.loop.meter import Meter, Stretch

_FILE = "watch.json"
_MLFLOW_RUN = "MLFLOW_RUN_ID"


class Watch(TrainerCallback):
    """Keep what a checkpoint holds beside the Trainer's state: the best epoch, the running loss, the number of lines logged."""

    def __init__(self, hooks: Hooks, settings: TrainSection, steps_an_epoch: int) -> None:
        self._hooks, self.settings, self._steps = hooks, settings, steps_an_epoch
        self._first = FirstLosses(steps_an_epoch, hooks.guessing)
        self.reporters: list[TrainerCallback] = []
        """The Trainer's own callbacks for MLflow and the like, which are given the epoch's figures too."""
        self.best_epoch = 0
        """Number of the epoch that is kept."""
        self._best_at = 0
        """Number of the best epoch, which patience counts from."""
        self.done = False
        """Whether the last epoch, or the one patience ended with, has been judged."""
        self._best: Judgment | None = None
        self._unjudged = 0
        """Number of an epoch that is trained and not judged; 0: none."""
        self._epoch = 0
        """Number of the last epoch judged."""
        self._losses: list[tuple[float, int]] = []
        self._lines = 0
        self._stopping = False
        self.meter = Meter()
        self._begun, self._first_step = time.monotonic(), 0
        self._stretch, self._early = Stretch(), False
        """What an interrupted training had not logged yet, and whether a step is logged only to be saved."""
        self._note = ""
        self._resumed_run = ""
        self._unreported: Mapping[str, float] = {}
        """Figures of an epoch that was judged before the reporters had been set up."""

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint."""
        best = self._best and {"value": self._best.value, "loss": self._best.loss, "error": self._best.error}
        names = ("best_epoch", "_best_at", "done", "_epoch", "_unjudged", "_losses", "_lines")
        state = {name.lstrip("_"): getattr(self, name) for name in names}
        state |= {
            "best": best,
            "first_losses": self._first.losses,
            "first_loss": self._first.start,
            "mlflow_run": self._mlflow_run(),
        }
        (folder / _FILE).write_text(json.dumps(state | {"stretch": asdict(self._stretch)}))

    def restore(self, folder: Path) -> None:
        """Read the state from a checkpoint; lines that were logged after it are forgotten."""
        state = json.loads((folder / _FILE).read_text())
        best = state["best"]
        self._best = best and Judgment(best["value"], best["loss"], {}, best["error"])
        self.best_epoch, self._best_at, self.done = state["best_epoch"], state["best_at"], state["done"]
        self._epoch, self._unjudged = state["epoch"], state["unjudged"]
        self._losses = [(loss, n) for loss, n in state["losses"]]
        self._lines, self._first.losses = state["lines"], state["first_losses"]
        self._first.start = state["first_loss"]
        self._stretch = Stretch(**state.get("stretch", {}))
        self._hooks.rewind(self._lines)
        if state["mlflow_run"] and _MLFLOW_RUN not in os.environ:
            os.environ[_MLFLOW_RUN] = self._resumed_run = state["mlflow_run"]  # the Trainer's callback goes on with it

    def note_loss(self, step: int, loss: torch.Tensor) -> None:
        """Note the loss of a batch, without what a method adds to it."""
        self._first.note(step, loss)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Start the clock for the time left, after a resume too."""
        self._begun, self._first_step = time.monotonic(), state.global_step
        self.meter.start(state.global_step)
        self._report(args, state, control, self._unreported)
        if self._resumed_run:
            os.environ.pop(_MLFLOW_RUN, None)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Start the pace anew: judging took time that is not training's."""
        self.meter.start_epoch()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Say how far it is; save (and log first, so that no loss is lost) now and then, before an epoch is judged, and to stop."""
        step, epochs = state.global_step, self.settings.passes
        epoch = min(epochs, (step - 1) // self._steps + 1)
        within = step - (epoch - 1) * self._steps
        advance(f"epoch {epoch}/{epochs}", within, self._steps, f"{self._note} · {self._left(step, state.max_steps)}")
        if within == self._steps:
            self._unjudged = epoch
        self._stopping = self._hooks.should_stop()
        every = self.settings.save_steps
        warned = step == self._first.last and self._warn_nothing_learned(step)
        saved = warned or within == self._steps or (every and step % every == 0)
        self._early = self._stopping and not saved and not control.should_log
        if self._stopping or saved:
            control.should_log = control.should_save = True
        control.should_training_stop = control.should_training_stop or self._stopping

    def _warn_nothing_learned(self, step: int) -> bool:
        """Say that nothing is learned yet, where it is so; saved at once, a resumed run does not come to it again."""
        rate = self.settings.peak_learning_rate
        if not rate or not self._first.nothing_learned():
            return False
        loss, guessing = self._first.mean, self._first.guessing
        which = "another" if self._first.stands() else "a lower"
        note = f"nothing learned yet: try {which} learning rate (train.learning_rate is {rate:g})"
        tell(
            "train",
            f"{note}; loss {loss:.3f} by step {step}, guessing by how often each label occurs has {guessing:.3f}",
        )
        self._log({"at_step": step, "note": note, "mean_loss": loss, "guessing_loss": guessing})
        return True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        """Write a line of log.jsonl, but where a step is saved to stop at: the line it belongs to is written after the resume."""
        if not logs or "loss" not in logs:
            return
        whole = self._stretch + self.meter.read(state.global_step, logs["loss"])
        self._stretch = whole if self._early else Stretch()
        if not self._early:
            self._log_stretch(whole, state, logs)

    def _log_stretch(self, whole: Stretch, state: TrainerState, logs: Mapping[str, float]) -> None:
        loss, rate = whole.loss / whole.steps, whole.examples / whole.seconds
        self._losses.append((loss, whole.examples))
        self._note = f"loss {loss:.3f} · {rate:.1f} examples/s"
        self._log(
            {
                "step": state.global_step,
                "epoch": round(state.epoch, 4),
                "loss": loss,
                "learning_rate": logs["learning_rate"],
                "grad_norm": float(logs.get("grad_norm", math.nan)),
                "examples": whole.examples,
                "examples_per_second": round(rate, 3),
                "tokens_per_second": round(whole.tokens / whole.seconds, 1),
                "peak_memory_bytes": peak_memory(),
            }
        )

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module | None = None,
        **_: object,
    ) -> None:
        """Judge, unless training stops to be resumed."""
        if model is None or self._stopping or not self._unjudged:
            return
        figures = self.judge_pending(model)
        self._report(args, state, control, figures)
        control.should_training_stop = control.should_training_stop or self.done
        control.should_save = True

    def resume(self, model: torch.nn.Module) -> None:
        """Judge the epoch that was trained and not judged before the interruption, if there is one."""
        if self._unjudged:
            self._unreported = self.judge_pending(model)

    @property
    def stopped_early(self) -> bool:
        """Whether patience has ended the training before its last epoch."""
        return self.done and self._epoch < self.settings.passes

    def judge_pending(self, model: torch.nn.Module) -> Mapping[str, float]:
        """Judge the epoch that is trained and not judged yet; keep it if it is the best. Returns its figures."""
        with self._hooks.interruptible():
            return self._judge(self._unjudged, model)

    def _judge(self, epoch: int, model: torch.nn.Module) -> Mapping[str, float]:
        judgment = self._hooks.judge(epoch)
        need_finite(judgment.loss, f"the validation loss of epoch {epoch}", self.settings)
        model.train()
        if better := judgment.better_than(self._best):
            self._best, self._best_at = judgment, epoch
        if kept := self._is_kept(epoch, judgment, better=better):
            self.best_epoch = epoch
            self._hooks.keep()
        self._log_epoch(epoch, kept, judgment)
        self._unjudged, self._losses, self._epoch = 0, [], epoch
        self.done = epoch in (self.settings.passes, self.settings.keep) or self._patience_is_over(epoch)
        return judgment.figures

    def _is_kept(self, epoch: int, judgment: Judgment, *, better: bool) -> bool:
        if isinstance(self.settings.keep, int):
            return epoch == self.settings.keep
        near = self.settings.keep != "best" and self._best is not None and judgment.within_error_of(self._best)
        return better or near

    def _report(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, figures: Mapping[str, float]
    ) -> None:
        """Let MLflow and the like hear an epoch's figures, under names the Trainer does not use itself."""
        logs = {f"epoch_{name}": value for name, value in figures.items()}
        for callback in self.reporters if logs else ():
            callback.on_log(args, state, control, logs=dict(logs))

    def _mlflow_run(self) -> str | None:
        """Return the id of the run the Trainer's callback has begun; it has imported the package by then."""
        mlflow = sys.modules.get("mlflow") if "mlflow" in self.settings.report_to else None
        active = mlflow.active_run() if mlflow else None
        return str(active.info.run_id) if active else None

    def _log_epoch(self, epoch: int, kept: bool, judgment: Judgment) -> None:
        weight = sum(n for _, n in self._losses)
        loss = sum(loss * n for loss, n in self._losses) / weight if weight else math.nan
        line = {"epoch": epoch, "best": kept, "running_loss": loss, "running_perplexity": perplexity(loss)}
        self._log(line | dict(judgment.figures))

    def _patience_is_over(self, epoch: int) -> bool:
        patience = self.settings.early_stopping_patience
        over = patience is not None and epoch - self._best_at >= patience
        if over and epoch < self.settings.passes:
            tell("train", f"stopped early: epoch {self._best_at} is still the best after {patience} more")
        return over

    def _log(self, line: Mapping[str, object]) -> None:
        self._hooks.log(line)
        self._lines += 1

    def _left(self, step: int, last: int) -> str:
        """Return the time that the remaining steps take at the pace so far; judging not counted."""
        pace = (time.monotonic() - self._begun) / max(1, step - self._first_step)
        return f"{remaining(pace * (last - step))} left"

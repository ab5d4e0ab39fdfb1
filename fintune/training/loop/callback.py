"""Watches training: shows and logs where it stands, judges epochs, says when to save and when to stop."""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from fintune.config.train import TrainSection
from fintune.runtime.memory import peak_memory
from fintune.runtime.progress import advance, tell
from fintune.runtime.units import remaining
from fintune.tasks.metrics import perplexity
from fintune.training.loop.failures import need_finite
from fintune.training.loop.first_losses import FirstLosses
from fintune.training.loop.hooks import Hooks, Judgment

_FILE = "watch.json"
_MLFLOW_RUN = "MLFLOW_RUN_ID"


@dataclass(frozen=True)
class Stretch:
    """Training since the last line of the log, summed up."""

    loss: float = 0.0
    """of the steps, added up"""
    steps: int = 0
    examples: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Stretch") -> "Stretch":
        return Stretch(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Watch(TrainerCallback):
    """State that a checkpoint holds beside the Trainer's: the best epoch, the running loss, the number of lines logged."""

    def __init__(self, hooks: Hooks, settings: TrainSection, steps_an_epoch: int) -> None:
        self._hooks, self.settings, self._steps = hooks, settings, steps_an_epoch
        self._first = FirstLosses(steps_an_epoch, hooks.guessing)
        self.reporters: list[Any] = []
        """the Trainer's own callbacks for MLflow and the like, which hear the epoch's figures too"""
        self.best_epoch = 0
        self.done = False
        """whether the last epoch, or the one patience ended with, has been judged"""
        self._best: Judgment | None = None
        self._unjudged = 0
        """number of an epoch that is trained and not judged; 0: none"""
        self._epoch = 0
        """number of the last epoch judged"""
        self._losses: list[tuple[float, int]] = []
        self._lines = 0
        self._stopping = False
        self._seen = self._logged = self._tokens = 0
        self._clock = self._begun = time.monotonic()
        self._first_step = self._last = 0
        self._stretch, self._early = Stretch(), False
        """what an interrupted training had not logged yet, and whether a step is logged only to be saved"""
        self._note = ""
        self._went_on = ""
        self._unheard: Mapping[str, float] = {}
        """figures of an epoch that was judged before the reporters had been set up"""

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint."""
        best = self._best and {"macro_f1": self._best.macro_f1, "loss": self._best.loss}
        names = ("best_epoch", "done", "_epoch", "_unjudged", "_losses", "_lines")
        state = {name.lstrip("_"): getattr(self, name) for name in names}
        state |= {
            "best": best,
            "first_losses": self._first.losses,
            "first_loss": self._first.start,
            "mlflow_run": self._mlflow_run(),
        }
        (folder / _FILE).write_text(json.dumps(state | {"stretch": asdict(self._stretch)}))

    def restore(self, folder: Path) -> None:
        """Take the state up again from a checkpoint; lines that were logged after it are forgotten."""
        state = json.loads((folder / _FILE).read_text())
        best = state["best"]
        self._best = best and Judgment(best["macro_f1"], best["loss"], {})
        self.best_epoch, self.done = state["best_epoch"], state["done"]
        self._epoch, self._unjudged = state["epoch"], state["unjudged"]
        self._losses = [(loss, n) for loss, n in state["losses"]]
        self._lines, self._first.losses = state["lines"], state["first_losses"]
        self._first.start = state["first_loss"]
        self._stretch = Stretch(**state.get("stretch", {}))
        self._hooks.rewind(self._lines)
        if state["mlflow_run"] and _MLFLOW_RUN not in os.environ:
            os.environ[_MLFLOW_RUN] = self._went_on = state["mlflow_run"]  # the Trainer's callback goes on with it

    def count(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Note a batch that is about to be trained on."""
        self._seen += len(inputs["labels"])
        self._tokens += int(inputs["attention_mask"].sum())

    def hear(self, step: int, loss: torch.Tensor) -> None:
        """Note the loss of a batch, without what a method adds to it."""
        self._first.hear(step, loss)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The clock for the time left starts here, after a resume too."""
        self._first_step = self._last = state.global_step
        self._begun = time.monotonic()
        self._report(args, state, control, self._unheard)
        if self._went_on:
            os.environ.pop(_MLFLOW_RUN, None)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Judging took time that is not training's."""
        self._clock, self._logged, self._tokens = time.monotonic(), self._seen, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how far it is; save (and log first, so that no loss is lost) now and then, before an epoch is judged, and to stop."""
        step, epochs = state.global_step, self.settings.epochs
        epoch = min(epochs, (step - 1) // self._steps + 1)
        within = step - (epoch - 1) * self._steps
        advance(f"epoch {epoch}/{epochs}", within, self._steps, f"{self._note} · {self._left(step, state.max_steps)}")
        if within == self._steps:
            self._unjudged = epoch
        self._stopping = self._hooks.should_stop()
        every = self.settings.save_steps
        said = step == self._first.last and self._say_nothing_learned(step)
        saved = said or within == self._steps or (every and step % every == 0)
        self._early = self._stopping and not saved and not control.should_log
        if self._stopping or saved:
            control.should_log = control.should_save = True
        control.should_training_stop = control.should_training_stop or self._stopping

    def _say_nothing_learned(self, step: int) -> bool:
        """Say so where it is; saved at once, a resumed run does not come to it again."""
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

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """A line of log.jsonl; not where a step is saved to stop at: the line it belongs to is written after the resume."""
        if not logs or "loss" not in logs:
            return
        steps, seconds = state.global_step - self._last, time.monotonic() - self._clock
        whole = self._stretch + Stretch(
            loss=logs["loss"] * steps,
            steps=steps,
            examples=self._seen - self._logged,
            tokens=self._tokens,
            seconds=max(seconds, 1e-9),
        )
        self._stretch = whole if self._early else Stretch()
        self._last, self._clock = state.global_step, time.monotonic()
        self._logged, self._tokens = self._seen, 0
        if not self._early:
            self._log_stretch(whole, state, logs)

    def _log_stretch(self, whole: Stretch, state: Any, logs: Mapping[str, Any]) -> None:
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

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Judge, unless training stops to be resumed."""
        if self._stopping or not self._unjudged:
            return
        figures = self.judge_pending(model)
        self._report(args, state, control, figures)
        control.should_training_stop = control.should_training_stop or self.done
        control.should_save = True

    def take_up(self, model: Any) -> None:
        """After a resume: judge the epoch that was trained and not judged, if there is one."""
        if self._unjudged:
            self._unheard = self.judge_pending(model)

    @property
    def stopped_early(self) -> bool:
        """Whether patience has ended the training before its last epoch."""
        return self.done and self._epoch < self.settings.epochs

    def judge_pending(self, model: Any) -> Mapping[str, float]:
        """Judge the epoch that is trained and not judged yet; keep it if it is the best. Returns its figures."""
        with self._hooks.interruptible():
            return self._judge(self._unjudged, model)

    def _judge(self, epoch: int, model: Any) -> Mapping[str, float]:
        judgment = self._hooks.judge(epoch)
        need_finite(judgment.loss, f"the validation loss of epoch {epoch}", self.settings)
        model.train()
        better = judgment.better_than(self._best)
        if better:
            self._best, self.best_epoch = judgment, epoch
            self._hooks.keep()
        self._log_epoch(epoch, better, judgment)
        self._unjudged, self._losses, self._epoch = 0, [], epoch
        self.done = epoch == self.settings.epochs or self._patience_is_over(epoch)
        return judgment.figures

    def _report(self, args: Any, state: Any, control: Any, figures: Mapping[str, float]) -> None:
        """Let MLflow and the like hear an epoch's figures, under names the Trainer does not use itself."""
        named = {f"epoch_{name}": value for name, value in figures.items()}
        for callback in self.reporters if named else ():
            callback.on_log(args, state, control, logs=dict(named))

    def _mlflow_run(self) -> str | None:
        """Id of the run the Trainer's callback has begun; it has imported the package by then."""
        mlflow = sys.modules.get("mlflow") if "mlflow" in self.settings.report_to else None
        active = mlflow.active_run() if mlflow else None
        return active.info.run_id if active else None

    def _log_epoch(self, epoch: int, better: bool, judgment: Judgment) -> None:
        weight = sum(n for _, n in self._losses)
        loss = sum(loss * n for loss, n in self._losses) / weight if weight else math.nan
        line = {"epoch": epoch, "best": better, "running_loss": loss, "running_perplexity": perplexity(loss)}
        self._log(line | dict(judgment.figures))

    def _patience_is_over(self, epoch: int) -> bool:
        patience = self.settings.early_stopping_patience
        over = patience is not None and epoch - self.best_epoch >= patience
        if over and epoch < self.settings.epochs:
            tell("train", f"stopped early: epoch {self.best_epoch} is still the best after {patience} more")
        return over

    def _log(self, line: Mapping[str, Any]) -> None:
        self._hooks.log(line)
        self._lines += 1

    def _left(self, step: int, last: int) -> str:
        """Time that the remaining steps take at the pace so far; judging not counted."""
        pace = (time.monotonic() - self._begun) / max(1, step - self._first_step)
        return f"{remaining(pace * (last - step))} left"

"""Training that is killed and resumed ends in the same parameters, the same log and the same best epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fintune.runtime.progress import Progress, listening
from fintune.training.loop.checkpoints import Checkpoints
from fintune.training.loop.hooks import Hooks, Judgment
from tests.training.loop.test_trainer import adapter, fit, tuned

SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 4, "gradient_accumulation_steps": 2, "save_steps": 2}
STEPS = 6
"""24 examples in batches of 4, two of them a step: three steps an epoch"""


class Killed(BaseException):
    """Ends training where it stands, as kill -9 does: nothing is saved."""


class Caller:
    """The hooks of a run: what was logged and kept, and where it is killed."""

    def __init__(self, model: Any, *, dies_at: Callable[[str, int], bool] = lambda what, n: False) -> None:
        self.model, self.dies_at = model, dies_at
        self.lines: list[dict[str, Any]] = []
        self.kept: dict[str, torch.Tensor] = {}
        self.asked = self.stop_at = 0

    def hooks(self) -> Hooks:
        return Hooks(self._judge, self._keep, self._log, self._rewind, self._should_stop)

    def _judge(self, epoch: int) -> Judgment:
        self._die("judge", epoch)
        size = sum(float(p.double().abs().sum()) for p in adapter(self.model).values())
        return Judgment(size, size, {"size": size})

    def _keep(self) -> None:
        self.kept = adapter(self.model)

    def _log(self, line: Any) -> None:
        self.lines.append({k: v for k, v in line.items() if not k.endswith(("_per_second", "_bytes"))})
        if "step" in line:
            self._die("step", line["step"])

    def _rewind(self, lines: int) -> None:
        del self.lines[lines:]

    def _should_stop(self) -> bool:
        self.asked += 1
        return self.asked == self.stop_at

    def _die(self, what: str, n: int) -> None:
        if self.dies_at(what, n):
            raise Killed


def straight(model: Path, folder: Path, **settings: Any) -> Caller:
    loaded = tuned(model, dropout=0.2)
    caller = Caller(loaded)
    fit(loaded, folder, caller.hooks(), **(SETTINGS | settings))
    return caller


def killed(model: Path, folder: Path, what: str, n: int, **settings: Any) -> Caller:
    """Training that ends at step, or in the judgment of epoch, `n`."""
    loaded = tuned(model, dropout=0.2)
    caller = Caller(loaded, dies_at=lambda where, at: (where, at) == (what, n))
    with pytest.raises(Killed):
        fit(loaded, folder, caller.hooks(), **(SETTINGS | settings))
    return caller


def resumed(model: Path, folder: Path, before: Caller, **settings: Any) -> Caller:
    loaded = tuned(model, dropout=0.2)
    caller = Caller(loaded)
    caller.lines, caller.kept = before.lines, before.kept
    fit(loaded, folder, caller.hooks(), resume=True, **(SETTINGS | settings))
    return caller


def assert_same(left: Caller, right: Caller) -> None:
    assert left.lines == right.lines
    for where in ("kept", "model"):
        pair = [getattr(c, where) if where == "kept" else adapter(c.model) for c in (left, right)]
        assert pair[0].keys() == pair[1].keys()
        for name, value in pair[0].items():
            assert torch.equal(value, pair[1][name]), name


@pytest.mark.parametrize(("what", "n"), [*(("step", n) for n in range(1, STEPS + 1)), ("judge", 1), ("judge", 2)])
def test_killed_anywhere_it_ends_the_same(tiny_model: Path, tmp_path: Path, what: str, n: int) -> None:
    whole = straight(tiny_model, tmp_path / "whole")
    before = killed(tiny_model, tmp_path / "part", what, n)
    assert_same(whole, resumed(tiny_model, tmp_path / "part", before))


@pytest.mark.parametrize("n", range(1, STEPS))
def test_told_to_stop_it_saves_the_very_step(tiny_causal: Path, tmp_path: Path, n: int) -> None:
    whole = straight(tiny_causal, tmp_path / "whole")
    loaded = tuned(tiny_causal, dropout=0.2)
    stopped = Caller(loaded)
    stopped.stop_at = n
    fit(loaded, tmp_path / "part", stopped.hooks(), **SETTINGS)
    latest = Checkpoints(tmp_path / "part").latest()
    assert latest is not None
    assert latest.name == f"checkpoint-{n}"
    assert_same(whole, resumed(tiny_causal, tmp_path / "part", stopped))


def test_a_stop_between_two_lines_of_the_log_leaves_none_of_its_own(tiny_causal: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"logging_steps": 3, "save_steps": 0}
    whole = straight(tiny_causal, tmp_path / "whole", **settings)
    assert [line["step"] for line in whole.lines if "step" in line] != list(range(1, STEPS + 1))
    before = Caller(tuned(tiny_causal, dropout=0.2))
    for number in (1, 2):  # told to stop twice before the first line
        loaded = tuned(tiny_causal, dropout=0.2)
        again = Caller(loaded)
        again.lines, again.kept, again.stop_at = before.lines, before.kept, 1
        fit(loaded, tmp_path / "part", again.hooks(), resume=number > 1, **(SETTINGS | settings))
        assert again.lines == []
        before = again
    after = resumed(tiny_causal, tmp_path / "part", before, **settings)
    for line, expected in zip(after.lines, whole.lines, strict=True):
        assert line == pytest.approx(expected, rel=1e-5)  # losses around a stop are added up in another order


def test_a_truncated_checkpoint_is_passed_over(tiny_causal: Path, tmp_path: Path) -> None:
    whole = straight(tiny_causal, tmp_path / "whole")
    before = killed(tiny_causal, tmp_path / "part", "step", 5)
    file = tmp_path / "part" / "checkpoint-4" / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:1000])
    told: list[Progress] = []
    with listening(told.append):
        assert_same(whole, resumed(tiny_causal, tmp_path / "part", before))
    notes = [event.note for event in told if event.stage == "train"]
    assert "optimizer.pt has 1,000 of" in notes[0]
    assert notes[1] == "going on from step 3"


def test_damaged_checkpoints_do_not_outlive_whole_ones(tiny_causal: Path, tmp_path: Path) -> None:
    straight(tiny_causal, tmp_path)
    for folder in tmp_path.glob("checkpoint-*"):
        (folder / "manifest.json").write_text("{}")
    assert Checkpoints(tmp_path).latest() is None
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_moved_aside_by_a_killed_process_comes_back(tiny_causal: Path, tmp_path: Path) -> None:
    straight(tiny_causal, tmp_path)
    (tmp_path / "checkpoint-4").rename(tmp_path / ".checkpoint-4.old")
    (tmp_path / "checkpoint-6").rename(tmp_path / ".checkpoint-6.old")
    assert Checkpoints(tmp_path).latest() == tmp_path / "checkpoint-6"
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-4", "checkpoint-6"]


def test_without_a_usable_checkpoint_it_begins_anew(tiny_causal: Path, tmp_path: Path) -> None:
    whole = straight(tiny_causal, tmp_path / "whole")
    before = killed(tiny_causal, tmp_path / "part", "step", 2)
    assert before.lines
    assert_same(whole, resumed(tiny_causal, tmp_path / "part", before))


def test_a_finished_training_has_nothing_left_to_do(tiny_causal: Path, tmp_path: Path) -> None:
    whole = straight(tiny_causal, tmp_path / "whole")
    lines = list(whole.lines)
    again = resumed(tiny_causal, tmp_path / "whole", whole)
    assert again.lines == lines


def test_checkpoints_hold_no_pickle_but_what_weights_only_reads(tiny_causal: Path, tmp_path: Path) -> None:
    straight(tiny_causal, tmp_path)
    folders = sorted(folder.name for folder in tmp_path.iterdir())
    assert folders == ["checkpoint-4", "checkpoint-6"], "two are kept"
    names = {file.name for file in (tmp_path / "checkpoint-6").iterdir()}
    assert names == {
        "manifest.json", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainable.safetensors", "trainer_state.json",
        "watch.json",
    }  # fmt: skip


def test_patience_ends_training_and_a_resume_does_not_reopen_it(tiny_causal: Path, tmp_path: Path) -> None:
    def fading(caller: Caller) -> Hooks:
        hooks = caller.hooks()
        return Hooks(lambda epoch: Judgment(-abs(epoch - 2), 0.0, {}), hooks.keep, hooks.log, hooks.rewind)

    loaded = tuned(tiny_causal)
    caller = Caller(loaded)
    best = fit(loaded, tmp_path, fading(caller), epochs=9, early_stopping_patience=2)
    epochs = [line["epoch"] for line in caller.lines if "best" in line]
    assert (best, epochs) == (2, [1, 2, 3, 4])
    again = tuned(tiny_causal)
    lines = len(caller.lines)
    assert fit(again, tmp_path, fading(caller), resume=True, epochs=9, early_stopping_patience=2) == 2
    assert len(caller.lines) == lines

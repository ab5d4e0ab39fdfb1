"""What long trainings need: less memory, lower precision, and failures that say what to do and lose nothing."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from fintune.errors import BrokenEnvironment, TrainingError
from fintune.training.loop.checkpoints import Checkpoints
from tests.training.loop.test_resume import SETTINGS, Caller, assert_same, killed, resumed, straight
from tests.training.loop.test_trainer import adapter, fit, silent, tuned


def test_gradient_checkpointing_computes_twice_and_changes_no_parameter(tiny_model: Path, tmp_path: Path) -> None:
    def trained(folder: str, checkpointing: bool) -> tuple[int, dict[str, torch.Tensor]]:
        loaded = tuned(tiny_model)
        calls: list[int] = []
        layer = next(m for m in loaded.model.modules() if hasattr(m, "base_layer"))
        layer.register_forward_hook(lambda module, *_: calls.append(1) if module.training else None)
        fit(loaded, tmp_path / folder, silent(), gradient_checkpointing=checkpointing)
        return len(calls), adapter(loaded)

    (once, plain), (twice, checkpointed) = trained("a", False), trained("b", True)
    assert (once, twice) == (3, 6)
    for name, value in plain.items():
        torch.testing.assert_close(value, checkpointed[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("bf16", "dtype"), [("auto", torch.float32), (False, torch.float32), (True, torch.bfloat16)])
def test_autocast_computes_in_bfloat16(tiny_causal: Path, tmp_path: Path, bf16: Any, dtype: torch.dtype) -> None:
    loaded = tuned(tiny_causal)
    seen: set[torch.dtype] = set()
    layer = loaded.model.get_base_model().get_output_embeddings()
    layer.register_forward_hook(lambda module, args, output: seen.add(output.dtype) if module.training else None)
    fit(loaded, tmp_path, silent(), bf16=bf16)
    assert seen == {dtype}
    assert {p.dtype for p in adapter(loaded).values()} == {torch.float32}


def test_memory_that_runs_out_is_answered_with_figures(
    tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tuned(tiny_causal)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(loaded.model, "forward", full)
    with pytest.raises(
        BrokenEnvironment, match=r"at step 1: 8 rows of \d+ tokens, in parts of 160 tokens; .* GB"
    ) as caught:
        fit(loaded, tmp_path, silent(), micro_batch_tokens=160, lean=False)
    assert caught.value.hint == "Set train.micro_batch_tokens: 80 (now 160), then train again."


@pytest.mark.parametrize("where", ["the loss", "the gradient's norm"])
def test_a_number_that_is_none_names_its_rows_and_keeps_the_last_good_state(
    tiny_causal: Path, tmp_path: Path, where: str
) -> None:
    loaded = tuned(tiny_causal)
    rows = [f"news.csv:{i}" for i in range(24)]
    parameter = next(p for p in loaded.model.parameters() if p.requires_grad)
    before: dict[str, torch.Tensor] = {}

    def spoil(line: Any) -> None:
        if line.get("step") == 3:
            before.update(adapter(loaded))
            if where == "the loss":
                parameter.data.fill_(float("nan"))
            else:
                parameter.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(TrainingError, match=rf"train: {where} at step 4 is .* \(rows news\.csv:\d+, .* and 5 more\)"):
        fit(loaded, tmp_path, silent(log=spoil), ids=rows, epochs=2, save_steps=1)
    latest = Checkpoints(tmp_path).latest()
    assert latest is not None
    assert latest.name == "checkpoint-3"
    if where != "the loss":
        for name, value in adapter(loaded).items():
            assert torch.equal(value, before[name]), "the optimizer has not stepped"


def test_a_full_disk_leaves_the_last_good_checkpoint(
    tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = straight(tiny_causal, tmp_path / "whole")
    loaded = tuned(tiny_causal, dropout=0.2)
    caller = Caller(loaded)
    original = torch.save

    def full(content: Any, place: Any, *args: Any, **kwargs: Any) -> None:
        original(content, place, *args, **kwargs)
        if "optimizer" in str(place) and any("step" in line and line["step"] == 4 for line in caller.lines):
            Path(place).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(place))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fit(loaded, tmp_path / "part", caller.hooks(), **SETTINGS)
    monkeypatch.undo()
    assert sorted(folder.name for folder in (tmp_path / "part").iterdir()) == ["checkpoint-2", "checkpoint-3"]
    assert_same(whole, resumed(tiny_causal, tmp_path / "part", caller))


def test_a_full_disk_is_told_by_torch_in_a_runtime_error(tmp_path: Path) -> None:
    """torch's writer hides the errno: `[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0`."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, lambda folder: (folder / "a").write_text("a") and None)

    def fails(folder: Path) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    with pytest.raises(OSError, match="unexpected pos"):
        checkpoints.save(2, fails)
    assert [folder.name for folder in tmp_path.iterdir()] == ["checkpoint-1"]


@pytest.mark.filterwarnings("ignore")  # of the libraries below it
def test_mlflow_goes_on_with_the_run_it_began(
    tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    before = killed(tiny_causal, tmp_path / "part", "judge", 1, report_to=["mlflow"])
    mlflow.end_run()
    resumed(tiny_causal, tmp_path / "part", before, report_to=["mlflow"])
    runs = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("Default").experiment_id])
    assert len(runs) == 1
    history = mlflow.MlflowClient().get_metric_history(runs[0].info.run_id, "epoch_size")
    assert [entry.step for entry in history] == [3, 6]
    assert "MLFLOW_RUN_ID" not in os.environ


def test_tensorboard_gets_steps_and_epochs(tiny_causal: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from fintune.training.loop.hooks import Judgment

    hooks = silent(lambda epoch: Judgment(0.0, 0.0, {"validation_accuracy": 0.25}))
    fit(tuned(tiny_causal), tmp_path / "checkpoints", hooks, report_to=["tensorboard"])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    scalars = {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert len(scalars["train/loss"]) == 3
    assert [v for tag, v in scalars.items() if tag.endswith("validation_accuracy")] == [[0.25]]

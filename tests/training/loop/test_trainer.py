"""The loss is that of the answer tokens and nothing else; accumulation averages over tokens; the best epoch is kept."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainerCallback, set_seed

from fintune.config.train import TrainSection
from fintune.errors import TrainingError
from fintune.methods import METHODS
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from fintune.models.batches import collate_causal
from fintune.models.blocks import unwrap
from fintune.models.loss import answer_loss
from fintune.models.prompts import PromptEncoder
from fintune.models.virtual_tokens import virtual_ids
from fintune.records import Encoded, Prompt
from fintune.training.loop.trainer import Hooks, Judgment, train
from tests.loaded import fresh
from tests.tiny import tiny_rows


def encoded_rows(loaded: LoadedModel, n: int) -> list[Encoded]:
    encoder = PromptEncoder(loaded.tokenizer, loaded.kind, 96, tuple(virtual_ids(unwrap(loaded.model))))
    rows = [encoder.encode(Prompt.around("", row["text"], ""), row["label"]) for row in tiny_rows(n)]
    return [row for row in rows if isinstance(row, Encoded)]


def tuned(model: Path, *, seed: int = 0, dropout: float = 0.0) -> LoadedModel:
    base = fresh(model)
    set_seed(seed)
    options = LoraOptions(r=4, lora_alpha=8, lora_dropout=dropout)
    return replace(base, model=METHODS["lora"].attach(base.model, options, base.kind))


def adapter(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in loaded.model.named_parameters() if p.requires_grad}


def silent(judge: Any = None, keep: Any = None, log: Any = None) -> Hooks:
    flat = Judgment(0.0, 0.0, {})
    return Hooks(judge=judge or (lambda epoch: flat), keep=keep or (lambda: None), log=log or (lambda line: None))


def fit(
    loaded: LoadedModel, folder: Path, hooks: Hooks, n: int = 24, resume: bool = False, ids: Any = (), **settings: Any
) -> int:
    chosen = TrainSection(
        **({"epochs": 1, "batch_size": 8, "warmup_ratio": 0.0, "learning_rate": 1e-2, "logging_steps": 1} | settings)
    )
    rows = encoded_rows(loaded, n)
    rows = [replace(row, id=name) for row, name in zip(rows, ids, strict=True)] if ids else rows
    return train(loaded, rows, chosen, hooks, folder=folder, resume=resume)


def test_loss_equals_the_full_logits_reference(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    rows = encoded_rows(loaded, 6)
    batch = collate_causal(rows, loaded.tokenizer.pad_token_id)
    labels, _ = batch.pop("labels"), batch.pop("weights")
    ours = answer_loss(loaded.model(**batch), labels)
    losses = []
    for row in rows:  # one at a time, every position, no padding: nothing of ours but the ids
        logits = loaded.model(torch.tensor([row.input_ids + row.answer_ids])).logits[0]
        at = torch.arange(len(row.answer_ids)) + len(row.input_ids) - 1
        losses.append(torch.nn.functional.cross_entropy(logits[at], torch.tensor(row.answer_ids), reduction="none"))
    assert ours.item() == pytest.approx(torch.cat(losses).mean().item(), abs=1e-5)
    assert loaded.model(**batch).logits.shape[:2] == labels.shape, "logits only where an answer token is predicted"


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_side_cannot_change_the_loss(tiny_causal: Path, side: str) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    rows = encoded_rows(loaded, 6)
    batch = collate_causal(rows, loaded.tokenizer.pad_token_id, side)  # type: ignore[arg-type]
    labels, _ = batch.pop("labels"), batch.pop("weights")
    apart = []
    for row in rows:
        one = collate_causal([row], loaded.tokenizer.pad_token_id)
        gold, _ = one.pop("labels"), one.pop("weights")
        apart.append(answer_loss(loaded.model(**one), gold, 1).item())
    together = answer_loss(loaded.model(**batch), labels, 1).item()
    assert together == pytest.approx(sum(apart), rel=1e-5)


def test_accumulation_equals_the_large_batch(tiny_model: Path, tmp_path: Path) -> None:
    whole, parts = tuned(tiny_model), tuned(tiny_model)
    fit(whole, tmp_path, silent(), n=8, batch_size=8)
    fit(parts, tmp_path, silent(), n=8, batch_size=2, gradient_accumulation_steps=4)
    start = adapter(tuned(tiny_model))
    moved = 0.0
    for name, value in adapter(parts).items():
        torch.testing.assert_close(value, adapter(whole)[name], atol=2e-5, rtol=1e-3)
        moved += (value - start[name]).abs().sum().item()
    assert moved > 0.1, "one step was made"


def test_parts_of_a_batch_equal_the_whole(tiny_model: Path, tmp_path: Path) -> None:
    whole, parts = tuned(tiny_model), tuned(tiny_model)
    lines: tuple[list[Any], list[Any]] = ([], [])
    fit(whole, tmp_path, silent(log=lines[0].append), n=8, micro_batch_tokens=10_000)
    fit(parts, tmp_path, silent(log=lines[1].append), n=8, micro_batch_tokens=70)
    for name, value in adapter(parts).items():
        torch.testing.assert_close(value, adapter(whole)[name], atol=2e-5, rtol=1e-3)
    assert lines[1][0]["loss"] == pytest.approx(lines[0][0]["loss"], rel=1e-5)


def test_accumulation_counts_tokens_not_batches(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    rows = [Encoded([257, 65], [66, 258]), Encoded([257, 65], [67, 68, 69, 70, 71, 258])]
    apart = [collate_causal([row], 256) for row in rows]
    labels = [one.pop("labels") for one in apart]
    for one in apart:
        one.pop("weights")
    both = collate_causal(rows, 256)
    together = answer_loss(
        loaded.model(**{k: v for k, v in both.items() if k not in ("labels", "weights")}), both["labels"]
    )
    summed = sum(answer_loss(loaded.model(**one), gold, 8) for one, gold in zip(apart, labels, strict=True))
    torch.testing.assert_close(summed, together)


def test_weights_scale_the_loss_of_their_examples(tiny_causal: Path) -> None:
    logits = torch.randn(3, 2, 7, generator=torch.Generator().manual_seed(0))
    labels, weights = torch.tensor([[1, 2], [3, -100], [4, 5]]), torch.tensor([0.5, 2.0, 0.0])
    apart = [answer_loss(SimpleNamespace(logits=logits[i : i + 1]), labels[i : i + 1], 1) for i in range(3)]
    together = answer_loss(SimpleNamespace(logits=logits), labels, weights=weights)
    torch.testing.assert_close(together, (0.5 * apart[0] + 2.0 * apart[1]) / 5)


def test_label_smoothing_spreads_its_share_of_the_target() -> None:
    logits, labels = (
        torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[1, 2, -100], [3, 4, 5]]),
    )
    known = labels >= 0
    by_token = -logits.log_softmax(dim=-1)
    sharp = by_token.gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1)
    expected = (0.9 * sharp + 0.1 * by_token.mean(dim=-1))[known].mean()
    torch.testing.assert_close(answer_loss(SimpleNamespace(logits=logits), labels, smoothing=0.1), expected)


def test_label_smoothing_reaches_training(tiny_causal: Path, tmp_path: Path) -> None:
    lines: dict[float, list[Any]] = {0.0: [], 0.5: []}
    for smoothing, log in lines.items():
        fit(tuned(tiny_causal), tmp_path / str(smoothing), silent(log=log.append), label_smoothing_factor=smoothing)
    assert lines[0.0][0]["loss"] != lines[0.5][0]["loss"]


def test_weights_reach_the_gradients(tiny_model: Path, tmp_path: Path) -> None:
    """An example that weighs nothing trains nothing; of weight 3 it counts as three of itself."""
    once, thrice = tuned(tiny_model), tuned(tiny_model)
    rows = encoded_rows(once, 4)
    settings = TrainSection(epochs=1, batch_size=8, warmup_ratio=0.0, learning_rate=1e-2, max_grad_norm=1e9)
    train(once, [replace(rows[0], weight=3.0), replace(rows[1], weight=0.0)], settings, silent(), folder=tmp_path)
    train(thrice, [rows[0]] * 3, settings, silent(), folder=tmp_path)
    for name, value in adapter(thrice).items():  # AdamW's first step does not see the scale of the gradient
        torch.testing.assert_close(value, adapter(once)[name], atol=2e-4, rtol=1e-2)


def test_loss_falls_and_not_at_rate_zero(tiny_model: Path, tmp_path: Path) -> None:
    def losses(rate: float) -> list[float]:
        lines: list[Any] = []
        fit(tuned(tiny_model), tmp_path, silent(log=lines.append), n=48, epochs=3, learning_rate=rate)
        return [line["loss"] for line in lines if "loss" in line]

    learned, still = losses(2e-2), losses(0.0)
    assert sum(learned[-3:]) < 0.8 * sum(learned[:3])
    assert sum(still[-3:]) > 0.95 * sum(still[:3])


@pytest.mark.parametrize("where", ["a step", "the epoch"])
def test_a_loss_that_is_no_number_stops_training(tiny_causal: Path, tmp_path: Path, where: str) -> None:
    kept: list[int] = []
    loaded = tuned(tiny_causal)
    if where == "a step":
        with torch.no_grad():
            next(p for p in loaded.model.parameters() if p.requires_grad).fill_(torch.nan)
    judged = Judgment(0.9, float("nan"), {})
    with pytest.raises(TrainingError, match=r"step 1 is nan" if where == "a step" else "validation loss of epoch 1"):
        fit(loaded, tmp_path, silent(lambda epoch: judged, lambda: kept.append(1)))
    assert not kept, "nothing is kept of it"


@pytest.mark.parametrize("settings", [{"batch_size": 64}, {"gradient_accumulation_steps": 8}])
def test_a_run_of_one_step_learns_and_is_logged(tiny_causal: Path, tmp_path: Path, settings: dict[str, int]) -> None:
    lines: list[Any] = []
    loaded = tuned(tiny_causal)
    before = adapter(loaded)
    chosen = TrainSection(epochs=1, learning_rate=1e-2, **({"batch_size": 8} | settings))
    train(loaded, encoded_rows(loaded, 24), chosen, silent(log=lines.append), folder=tmp_path)
    assert [line["step"] for line in lines if "step" in line] == [1]
    assert any(not torch.equal(value, before[name]) for name, value in adapter(loaded).items())


def test_only_the_adapter_trains(tiny_model: Path, tmp_path: Path) -> None:
    loaded = tuned(tiny_model)
    before = {name: p.detach().clone() for name, p in loaded.model.named_parameters()}
    fit(loaded, tmp_path, silent())
    changed = {name for name, p in loaded.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == set(adapter(loaded))
    assert all("lora_" in name for name in changed)


def test_the_seed_decides_everything(tiny_causal: Path, tmp_path: Path) -> None:
    def result(seed: int) -> dict[str, torch.Tensor]:
        loaded = tuned(tiny_causal, seed=seed, dropout=0.1)
        fit(loaded, tmp_path, silent(), seed=seed)
        return adapter(loaded)

    one, same, other = result(1), result(1), result(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_the_best_epoch_is_kept_and_logged(tiny_causal: Path, tmp_path: Path) -> None:
    verdicts = iter(
        [Judgment(0.5, 1.0, {"a": 1}), Judgment(0.7, 1.0, {}), Judgment(0.7, 0.9, {}), Judgment(0.6, 0.1, {})]
    )
    kept: list[int] = []
    lines: list[Any] = []
    best = fit(
        tuned(tiny_causal),
        tmp_path,
        silent(lambda epoch: next(verdicts), lambda: kept.append(1), lines.append),
        epochs=4,
    )
    epochs = [line for line in lines if "best" in line]
    assert best == 3
    assert len(kept) == 3
    assert [line["best"] for line in epochs] == [True, True, True, False]
    assert epochs[0]["a"] == 1
    assert epochs[0]["running_perplexity"] == pytest.approx(
        torch.tensor(epochs[0]["running_loss"]).exp().item(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("keep", "epoch", "best"),
    [
        ("one-standard-error", 4, [True, True, False, True, False]),
        ("best", 2, [True, True, False, False, False]),
        (3, 3, [False, False, True]),
    ],
)
def test_the_latest_epoch_that_cannot_be_told_from_the_best_is_kept(
    keep: str | int, epoch: int, best: list[bool], tiny_causal: Path, tmp_path: Path
) -> None:
    """Of values 0.5, 0.7, 0.6, 0.66 and 0.64, with a standard error of 0.05, the fourth; whatever the loss. Or the one that is named."""
    verdicts = iter(Judgment(value, 1.0 + value, {}, error=0.05) for value in (0.5, 0.7, 0.6, 0.66, 0.64))
    lines: list[Any] = []
    hooks = silent(lambda number: next(verdicts), log=lines.append)
    assert fit(tuned(tiny_causal), tmp_path, hooks, epochs=5, keep=keep) == epoch
    assert [line["best"] for line in lines if "best" in line] == best


def test_reporters_hear_steps_and_epochs(tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, float]] = []

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            heard.append(logs)

    for place in ("transformers.trainer", "transformers.integrations.integration_utils"):
        monkeypatch.setattr(f"{place}.get_reporting_integration_callbacks", lambda names: [Reporter] * len(names))
    hooks = silent(lambda epoch: Judgment(0.0, 0.0, {"validation_accuracy": 0.25}))
    fit(tuned(tiny_causal), tmp_path, hooks, report_to=["mlflow"])
    assert sum("loss" in logs for logs in heard) == 3
    assert {"epoch_validation_accuracy": 0.25} in heard


def test_every_logged_step_says_rate_speed_and_memory(tiny_causal: Path, tmp_path: Path) -> None:
    lines: list[Any] = []
    fit(tuned(tiny_causal), tmp_path, silent(log=lines.append), warmup_ratio=0.4)
    steps = [line for line in lines if "step" in line]
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert steps[0]["learning_rate"] < steps[1]["learning_rate"]
    assert all(
        line["examples_per_second"] > 0 and line["tokens_per_second"] > line["examples_per_second"] for line in steps
    )
    assert all(line["peak_memory_bytes"] > 50_000_000 for line in steps)

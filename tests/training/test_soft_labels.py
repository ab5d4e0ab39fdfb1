"""Shares of labels are learned as torch's cross-entropy with probabilities has it, in parts, resumed, balanced and smoothed alike."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

import fintune
from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.config.train import TrainSection
from fintune.inference.load import load_base
from fintune.models.loss import answer_loss
from fintune.models.shortcuts.shortcuts import Shortcuts
from fintune.records import Encoded
from fintune.training.encode import encode
from fintune.training.loop.trainer import train
from tests.tiny import LABELS, tiny_rows
from tests.training.loop.test_resume import SETTINGS, Caller, Killed, assert_same
from tests.training.loop.test_trainer import adapter, encoded_rows, silent, tuned

ROWS = torch.tensor([65, 66, 67])
"""Tokens of the answers"""


def soft_rows(loaded: Any, n: int = 24, *, sharp: bool = False) -> list[Encoded]:
    """Texts whose answer is one of three tokens, most of the share on it."""
    rows = [replace(row, answer_ids=[int(ROWS[i % 3])]) for i, row in enumerate(encoded_rows(loaded, n))]
    most, rest = (1.0, 0.0) if sharp else (0.7, 0.15)
    return [
        replace(row, shares=tuple(most if i % 3 == k else rest for k in range(3)), weight=0.5 + i % 2)
        for i, row in enumerate(rows)
    ]


def fitted(model: Path, folder: Path, rows: Any, *, caller: Any = None, resume: bool = False, **settings: Any) -> Any:
    loaded = tuned(model)
    given = silent() if caller is None else caller(loaded.model)
    hooks = given if caller is None else given.hooks()
    chosen = TrainSection(
        **{"epochs": 1, "batch_size": 8, "warmup_ratio": 0.0, "learning_rate": 1e-2, "logging_steps": 1} | settings
    )
    train(loaded, rows(loaded), chosen, replace(hooks, shortcuts=Shortcuts(rows=ROWS)), folder=folder, resume=resume)
    return adapter(loaded) if caller is None else given


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_torchs_cross_entropy_with_probabilities(smoothing: float) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 1, 9, generator=random, requires_grad=True)
    shares, weights = torch.rand(4, 3, generator=random).softmax(-1), torch.tensor([1.0, 2.0, 0.5, 1.0])
    rows, labels = torch.tensor([7, 2, 4]), torch.tensor([[7], [2], [4], [7]])
    loss = answer_loss(SimpleNamespace(logits=logits), labels, 6, weights, smoothing, rows, shares=shares)
    (ours,) = torch.autograd.grad(loss, logits)
    apart = cross_entropy(logits[:, 0, rows], shares, reduction="none", label_smoothing=smoothing)
    (theirs,) = torch.autograd.grad((apart * weights).sum() / 6, logits)
    torch.testing.assert_close(loss, (apart * weights).sum() / 6)
    torch.testing.assert_close(ours, theirs)


def test_all_to_one_label_is_that_label(tiny_model: Path, tmp_path: Path) -> None:
    hard = fitted(tiny_model, tmp_path, lambda m: [replace(r, shares=()) for r in soft_rows(m)])
    sharp = fitted(tiny_model, tmp_path, lambda m: soft_rows(m, sharp=True))
    soft = fitted(tiny_model, tmp_path, soft_rows)
    for name, value in hard.items():
        torch.testing.assert_close(sharp[name], value, atol=1e-6, rtol=1e-5)
    assert max(float((soft[name] - value).abs().max()) for name, value in hard.items()) > 1e-4


def test_parts_of_a_batch_add_up_to_it(tiny_model: Path, tmp_path: Path) -> None:
    whole = fitted(tiny_model, tmp_path, soft_rows)
    parts = fitted(tiny_model, tmp_path, soft_rows, micro_batch_tokens=70)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=2e-5, rtol=1e-3)


def test_a_resumed_training_ends_the_same(tiny_model: Path, tmp_path: Path) -> None:
    straight = fitted(tiny_model, tmp_path / "whole", soft_rows, caller=Caller, **SETTINGS)
    callers: list[Caller] = []

    def dying(model: Any) -> Caller:
        callers.append(Caller(model, dies_at=lambda what, n: (what, n) == ("step", 4)))
        return callers[-1]

    def going_on(model: Any) -> Caller:
        after = Caller(model)
        after.lines, after.kept = callers[0].lines, callers[0].kept
        return after

    with pytest.raises(Killed):
        fitted(tiny_model, tmp_path / "part", soft_rows, caller=dying, **SETTINGS)
    assert_same(straight, fitted(tiny_model, tmp_path / "part", soft_rows, caller=going_on, resume=True, **SETTINGS))


@pytest.fixture
def voted(tiny_config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A config of rows with votes, four for the label and one for the next."""
    rows = [
        {"text": row["text"], **{label: 4 if label == row["label"] else int(i == k) for k, label in enumerate(LABELS)}}
        for row in tiny_rows()
        for i in [(LABELS.index(row["label"]) + 1) % 3]
    ]
    (tmp_path / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"path": str(tmp_path / "votes.jsonl"), "label_columns": {label: label for label in LABELS}}
    answers = dict(zip(LABELS, "abc", strict=True))
    train = tiny_config["train"] | {"objective": "candidates", "class_weights": "balanced"}
    return tiny_config | {"data": data, "task": tiny_config["task"] | {"answers": answers}, "train": train}


def test_shares_are_in_the_order_of_the_candidates(voted: dict[str, Any]) -> None:
    prepared = prepare(load(voted))
    loaded = load_base(prepared.config)
    for example, row in zip(prepared.splits["train"], encode(prepared, loaded), strict=True):
        place = "abc".index(loaded.tokenizer.decode(row.answer_ids))
        assert row.shares == tuple(0.8 if k == place else 0.2 if k == (place + 1) % 3 else 0.0 for k in range(3))
        assert LABELS[place] == example.target


def test_rows_without_shares_go_beside_them(voted: dict[str, Any], rows_file: Path) -> None:
    data = voted["data"]
    Path(f"{data['path']}.more.jsonl").write_text(rows_file.read_text().replace('"text": "', '"text": "Again '))
    sources = [data, {"path": f"{data['path']}.more.jsonl"}]
    prepared = prepare(load(voted | {"data": {"sources": sources}}))
    encoded = encode(prepared, load_base(prepared.config))
    assert {tuple(sorted(row.shares)) for row in encoded} == {(0.0, 0.2, 0.8), (0.0, 0.0, 1.0)}


def test_a_run_learns_the_shares(voted: dict[str, Any]) -> None:
    run = fintune.train(voted)
    assert run.scores()["test"]["accuracy"].value >= 0.9
    predictions = [json.loads(line) for line in (run.folder / "predictions.test.jsonl").read_text().splitlines()]
    sure = sum(max(p["probabilities"].values()) for p in predictions) / len(predictions)
    assert sure < 0.93, "a fifth of the votes was for another label"
    losses = [line["loss"] for line in run.log() if "step" in line]
    assert losses[-1] > 0.4, "cross-entropy is never below the entropy of the shares, 0.50"
    assert run.data()["soft_labels"] == {"examples": 63, "mean_share": pytest.approx(0.8)}  # type: ignore[typeddict-item]

"""Epochs after the first go through what is not learned yet: chosen by loss, in as many batches, the same after a resume."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from fintune.config.train import TrainSection
from fintune.errors import TrainingError
from fintune.models import LoadedModel
from fintune.models.batches import collator
from fintune.models.loss import answer_loss, to_learn
from fintune.records import Encoded
from fintune.training.loop.hard_examples import HardExamples, hard_examples
from fintune.training.loop.sampler import BucketSampler
from tests.training.loop.test_resume import assert_same, killed, resumed, straight
from tests.training.loop.test_trainer import encoded_rows, fit, silent, tuned


def test_the_highest_losses_are_chosen_and_stay_chosen_within_an_epoch(tmp_path: Path) -> None:
    hard = HardExamples(0.5, count=6)
    assert hard.among(0) is None
    hard.note(torch.tensor([0, 1, 2, 3]), torch.tensor([0.1, 2.0, 0.3, 1.0]))
    hard.note(torch.tensor([4, 5]), torch.tensor([0.2, 3.0]))
    chosen = [1, 3, 5]
    assert np.array_equal(hard.among(1), chosen)  # type: ignore[arg-type]
    hard.note(torch.tensor(chosen), torch.tensor([0.0, 0.0, 0.15]))
    assert np.array_equal(hard.among(1), chosen)  # type: ignore[arg-type]
    hard.save(tmp_path)
    again = HardExamples(0.5, count=6)
    again.restore(tmp_path)
    for known in (hard, again):
        assert np.array_equal(known.among(1), chosen)  # type: ignore[arg-type]
        assert np.array_equal(known.among(2), [2, 4, 5]), "losses when last learned, whichever epoch that was"  # type: ignore[arg-type]


@pytest.mark.parametrize("few", [26, 40, 101, 202])
def test_fewer_examples_make_as_many_batches(few: int) -> None:
    lengths = [5 + (i * 37) % 60 for i in range(203)]
    among = np.arange(0, few)
    sampler = BucketSampler(lengths, 8, 0, among=lambda epoch: among if epoch else None)
    assert list(sampler) == list(BucketSampler(lengths, 8, 0))
    sampler.set_epoch(1)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 26
    assert sorted(i for batch in batches for i in batch) == among.tolist()
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


def losses_alone(loaded: LoadedModel, rows: list[Encoded]) -> list[float]:
    """The loss of each whole answer, read alone."""
    loaded.model.eval()
    found = []
    for row in rows:
        batch = collator(loaded)([row])
        labels, _ = batch.pop("labels"), batch.pop("weights")
        with torch.no_grad():
            found.append(float(answer_loss(loaded.model(**batch), labels, 1)))
    return found


def test_training_goes_through_them(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[int] = []
    note = HardExamples.note

    def noting(self: HardExamples, numbers: torch.Tensor, losses: torch.Tensor) -> None:
        noted.extend(numbers.tolist())
        note(self, numbers, losses)

    monkeypatch.setattr(HardExamples, "note", noting)
    lines: list[dict[str, Any]] = []
    loaded = tuned(tiny_model)
    rows = encoded_rows(loaded, 24)
    fit(
        loaded, tmp_path, silent(log=lines.append), epochs=3, batch_size=5, hard_example_ratio=0.5, learning_rate=0.0,
        micro_batch_tokens=40,
    )  # fmt: skip
    hardest = np.argsort(losses_alone(loaded, rows))[12:]  # nothing is learned at a rate of 0
    assert sorted(noted[:24]) == list(range(24))
    assert sorted(noted[24:36]) == sorted(noted[36:]) == sorted(hardest.tolist())
    sizes = [line["examples"] for line in lines if "step" in line]
    assert [sorted(sizes[i : i + 5]) for i in (0, 5, 10)] == [[4, 5, 5, 5, 5], [2, 2, 2, 3, 3], [2, 2, 2, 3, 3]]


def test_what_shares_ask_for_is_nothing_left_to_learn() -> None:
    shares = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    outputs = SimpleNamespace(logits=torch.tensor([[[0.5, 0.25, 0.25]], [[0.5, 0.25, 0.25]]]).log())
    rows, labels = torch.arange(3), torch.tensor([[0], [0]])
    assert to_learn(outputs, labels, rows, shares).tolist() == pytest.approx([0.0, np.log(2)], abs=1e-6)
    assert to_learn(outputs, labels, rows).tolist() == pytest.approx([np.log(2)] * 2)


@pytest.mark.parametrize(
    ("what", "n"), [("step", 3), ("judge", 1), ("step", 4), ("step", 5), ("judge", 2), ("step", 8)]
)
def test_killed_anywhere_it_ends_the_same(tiny_causal: Path, tmp_path: Path, what: str, n: int) -> None:
    settings: dict[str, Any] = {"epochs": 3, "hard_example_ratio": 0.4, "save_steps": 1}
    whole = straight(tiny_causal, tmp_path / "whole", **settings)
    assert [line["examples"] for line in whole.lines if "step" in line] == [8] * 3 + [3, 4, 3] * 2
    before = killed(tiny_causal, tmp_path / "part", what, n, **settings)
    assert_same(whole, resumed(tiny_causal, tmp_path / "part", before, **settings))


def test_several_processes_are_refused() -> None:
    with pytest.raises(TrainingError, match="hard_example_ratio"):
        hard_examples(0.5, 9, batch_size=4, processes=2)
    assert hard_examples(1.0, 9, batch_size=4, processes=2) is None
    few = hard_examples(0.1, 9, batch_size=4, processes=1)
    assert few is not None
    assert np.size(few.among(1)) == 3, "one a step at least"


def test_two_ways_to_draw_are_refused() -> None:
    with pytest.raises(ValidationError, match="choose one"):
        TrainSection(hard_example_ratio=0.5, sampling="balanced")

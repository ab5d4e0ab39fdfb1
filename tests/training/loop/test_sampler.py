"""Batches depend on (seed, epoch) alone; tensors name exactly the positions that predict answer tokens."""

import numpy as np
import pytest
import torch

from fintune.models.batches import IGNORE, collate_causal, collate_seq2seq, micro_batches, pad, positions
from fintune.records import Encoded
from fintune.training.loop.sampler import BucketSampler

LENGTHS = [5 + (i * 37) % 60 for i in range(203)]
BATCH = [Encoded([1, 2, 3], [7, 8, 9]), Encoded([1, 4], [6, 9])]


def epoch(seed: int, number: int) -> list[list[int]]:
    sampler = BucketSampler(LENGTHS, 8, seed)
    sampler.set_epoch(number)
    return list(sampler)


def test_every_example_once_an_epoch() -> None:
    batches = epoch(0, 0)
    assert sorted(i for batch in batches for i in batch) == list(range(203))
    assert len(batches) == len(BucketSampler(LENGTHS, 8, 0)) == 26


def test_order_follows_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = epoch(3, 2)
    torch.manual_seed(2)
    assert epoch(3, 2) == first
    assert epoch(3, 1) != first
    assert epoch(4, 2) != first


def test_batches_hold_like_lengths() -> None:
    def padding(batches: list[list[int]]) -> float:
        padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in batches)
        return padded / sum(LENGTHS) - 1

    in_order = [list(range(i, min(i + 8, 203))) for i in range(0, 203, 8)]
    assert padding(epoch(0, 0)) < padding(in_order) / 4


@pytest.mark.parametrize("side", ["left", "right"])
def test_kept_positions_predict_the_answer_tokens(side: str) -> None:
    batch = collate_causal(BATCH, 0, side)  # type: ignore[arg-type]
    assert batch["labels"].tolist() == [[7, 8, 9], [6, 9, IGNORE]]
    for row, example in enumerate(BATCH):
        for place, label in zip(batch["logits_to_keep"][row].tolist(), example.answer_ids, strict=False):
            seen = batch["input_ids"][row, : place + 1][batch["attention_mask"][row, : place + 1] == 1].tolist()
            assert seen == (example.input_ids + example.answer_ids)[: len(seen)]
            assert (example.input_ids + example.answer_ids)[len(seen)] == label


@pytest.mark.parametrize(
    ("tokens", "sizes"), [(1, [1] * 7), (8, [2, 2, 2, 1]), (12, [3, 3, 1]), (27, [4, 3]), (28, [7])]
)
def test_parts_hold_every_row_once_within_the_budget(tokens: int, sizes: list[int]) -> None:
    batch = collate_causal([Encoded([1, 2, i], [7, 9]) for i in range(7)], 0)
    parts = micro_batches(batch, tokens)
    assert [len(part["input_ids"]) for part in parts] == sizes
    for name, tensor in batch.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), tensor)


def test_the_end_token_is_never_an_input() -> None:
    assert 9 not in collate_causal(BATCH, 0)["input_ids"].flatten().tolist()


def test_positions_ignore_padding() -> None:
    _, left = pad([[5, 6, 7], [5]], 0, "left")
    _, right = pad([[5, 6, 7], [5]], 0, "right")
    assert positions(left).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert positions(right).tolist() == [[0, 1, 2], [0, 0, 0]]


def test_seq2seq_decoder_reads_the_answer_shifted() -> None:
    batch = collate_seq2seq(BATCH, 0, 99)
    assert batch["decoder_input_ids"].tolist() == [[99, 7, 8], [99, 6, 0]]
    assert batch["labels"].tolist() == [[7, 8, 9], [6, 9, IGNORE]]
    assert batch["input_ids"].tolist() == [[1, 2, 3], [1, 4, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_balanced_epochs_draw_every_stratum_alike(seed: int) -> None:
    strata = [0] * 50 + [1] * 8 + [2] * 2
    sampler = BucketSampler([5] * 60, 7, seed, strata=strata)
    drawn = [i for batch in sampler for i in batch]
    assert len(drawn) == 60
    assert np.bincount([strata[i] for i in drawn]).tolist() == [20, 20, 20]
    assert len({i for i in drawn if strata[i] == 0}) == 20, "of a large stratum none is drawn twice"
    assert {i for i in drawn if strata[i]} == set(range(50, 60)), "of a small one all are drawn"
    sampler.set_epoch(1)
    assert [i for batch in sampler for i in batch] != drawn

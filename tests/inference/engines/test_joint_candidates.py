"""Answers that share what they begin with are read once, and every one has the probability it has by itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fintune.inference.engines.joint_candidates import AnswerTree, appended, fits
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.models import load_model
from fintune.records import Prompt

NUMBERS = ["-1.0", "-0.6", "-0.2", "-0.25", "0.2", "0.6", "1.0", "-", "yes"]
PROMPTS = [
    Prompt.around("", text, ":") for text in ("Alvex of Oslo +", "B", "Cyrit of Kyoto and a longer tail of words =")
]


def test_every_beginning_stands_once_behind_its_own() -> None:
    tree = AnswerTree.of([[5, 1, 9], [5, 2, 7, 9], [6, 9], [5, 9], [8]])
    assert tree.tokens == [5, 1, 2, 7, 6]
    assert tree.depths == [0, 1, 1, 2, 0]
    assert tree.paths == [[0], [0, 1], [0, 2], [0, 2, 3], [4]]
    assert tree.steps == [(0, 0, 1), (0, 1, 9), (1, 0, 2), (1, 2, 7), (1, 3, 9), (2, 4, 9), (3, 0, 9)]


def test_a_token_sees_its_prompt_what_leads_to_it_and_itself() -> None:
    tree = AnswerTree.of([[5, 1, 9], [5, 2, 9]])
    mask = torch.tensor([[1, 1], [0, 1]])
    inputs = {
        "input_ids": torch.tensor([[3, 4], [0, 4]]),
        "attention_mask": mask,
        "position_ids": torch.tensor([[0, 1], [0, 0]]),
    }
    called = appended(inputs, tree)  # type: ignore[arg-type]
    assert called["attention_mask"][1, 0].int().tolist() == [
        [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 0, 1],
    ]  # fmt: skip
    assert called["position_ids"].tolist() == [[0, 1, 2, 3, 3], [0, 0, 1, 2, 2]]
    assert called["logits_to_keep"].tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]


@pytest.mark.parametrize("answers", [NUMBERS, NUMBERS[:1], ["a", "b"], [f"{i / 10:.2f}" for i in range(21)]])
def test_each_has_the_probability_it_has_alone(answers: list[str], tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    assert fits(loaded.model, 100)
    engine = TorchEngine(loaded, max_length=120)
    ranking = engine.rank(PROMPTS, answers)
    alone = [engine.rank(PROMPTS, [answer]) for answer in answers]
    np.testing.assert_allclose(ranking.log_probability, np.hstack([one.log_probability for one in alone]), atol=1e-5)
    assert ranking.tokens.tolist() == [int(one.tokens[0]) for one in alone]

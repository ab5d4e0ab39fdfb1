"""Ranking agrees with plain, one-at-a-time scoring, whatever the batch, padding side or length of the labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from fintune.errors import ModelError
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.models import LoadedModel, load_model
from fintune.models.prompts import PromptEncoder
from fintune.models.shortcuts.shortcuts import Shortcuts
from fintune.records import Prompt
from tests.families import save
from tests.tiny import tiny_rows

PROMPTS = [Prompt.around("", row["text"] * (1 + i % 3), ":") for i, row in enumerate(tiny_rows(11))]
CANDIDATES = ["up", "down a lot", "flat", "a"]
TIGHT = 1e-4
"""the product's promise: single and batched scores agree to this"""


def reference(loaded: LoadedModel, prompts: Sequence[Prompt], candidates: Sequence[str]) -> np.ndarray:
    """Each candidate after each prompt in a forward pass of its own, every position, no padding, no cache."""
    encoder = PromptEncoder(loaded.tokenizer, loaded.kind, 400)
    scores = np.zeros((len(prompts), len(candidates)))
    for i, prompt in enumerate(prompts):
        for j, candidate in enumerate(candidates):
            ids, answer = (
                encoder.encode_prompt(prompt, reserve=0).input_ids,
                encoder.answer_ids(candidate, prompt.after),
            )  # type: ignore[union-attr]
            with torch.inference_mode():
                if loaded.kind == "causal":
                    logits = loaded.model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1]
                else:
                    fed = torch.tensor([[loaded.model.config.decoder_start_token_id, *answer[:-1]]])
                    logits = loaded.model(input_ids=torch.tensor([ids]), decoder_input_ids=fed).logits[0]
            scores[i, j] = logits.log_softmax(-1)[range(len(answer)), answer].sum().item()
    return scores


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_scores_equal_the_plain_reference(tiny_model: Path, batch_size: int) -> None:
    loaded = load_model(str(tiny_model), device="cpu")
    ranking = TorchEngine(loaded, max_length=400, batch_size=batch_size).rank(PROMPTS, CANDIDATES)
    np.testing.assert_allclose(ranking.log_probability, reference(loaded, PROMPTS, CANDIDATES), atol=TIGHT)
    assert ranking.log_probability.std() > 0.01, "the random model does tell candidates apart"


def test_padding_side_cannot_change_a_score(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    left, right = (
        TorchEngine(loaded, max_length=400, side=side).rank(PROMPTS, CANDIDATES) for side in ("left", "right")
    )  # type: ignore[arg-type]
    np.testing.assert_allclose(left.log_probability, right.log_probability, atol=TIGHT)


def test_prompts_beyond_the_sliding_window(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    long = [Prompt.around("", "abc " * 50, ":"), Prompt.around("", "x", ":"), Prompt.around("", "defg " * 31, ":")]
    ranking = TorchEngine(loaded, max_length=400).rank(long, CANDIDATES)
    np.testing.assert_allclose(ranking.log_probability, reference(loaded, long, CANDIDATES), atol=TIGHT)


def test_single_token_candidates_of_the_end_token_alone(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    ranking = TorchEngine(loaded, max_length=400).rank(PROMPTS[:2], [""])
    np.testing.assert_allclose(ranking.log_probability, reference(loaded, PROMPTS[:2], [""]), atol=TIGHT)


def test_probabilities_add_up_and_keep_the_order(tiny_model: Path) -> None:
    ranking = TorchEngine(load_model(str(tiny_model), device="cpu"), max_length=400).rank(PROMPTS, CANDIDATES)
    probabilities = ranking.probabilities()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert (probabilities.argmax(axis=1) == ranking.log_probability.argmax(axis=1)).all()
    assert ranking.tokens.tolist() == [3, 11, 5, 2]


def test_a_small_logits_budget_changes_no_score(tiny_causal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TorchEngine(load_model(str(tiny_causal), device="cpu"), max_length=400)
    whole = engine.rank(PROMPTS, CANDIDATES).log_probability
    monkeypatch.setattr("fintune.inference.engines.torch_engine._LOGITS_BUDGET", 1)
    assert engine._rows([[1]], [[1]], None) == 1
    np.testing.assert_allclose(engine.rank(PROMPTS, CANDIDATES).log_probability, whole, atol=TIGHT)


def test_cut_texts_are_counted(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    ranking = TorchEngine(loaded, max_length=40).rank(
        [Prompt.around("", "x" * 100, ":"), Prompt.around("", "x", ":")], ["up"]
    )
    assert ranking.cut.tolist() == [100 - (40 - 3 - 2), 0]


def test_a_template_that_cannot_fit_is_refused(tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=r"model.max_length: 8 tokens cannot hold template and answer"):
        TorchEngine(load_model(str(tiny_causal), device="cpu"), max_length=8).rank(
            [Prompt.around("Question: ", "x", ":")], ["up"]
        )


@pytest.mark.parametrize("first_tokens", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_shared_beginning_is_read_once_and_changes_nothing(
    tiny_causal: Path, side: Literal["left", "right"], first_tokens: bool
) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    long = "Say whether the news is good for holders: "
    prompts = [
        Prompt.around("", long + text, ":") for text in ("Alvex +", "Bormas and a longer tail of words -", "Cyrit =")
    ]
    answers = ["up", "down", "sideways"]
    rows = torch.tensor([ord(answer[0]) for answer in answers]) if first_tokens else None
    shortcuts = Shortcuts(rows=rows)
    running = TorchEngine(loaded, max_length=128, side=side, batch_size=2, shortcuts=shortcuts)
    read: list[int] = []
    embedding = loaded.model.get_input_embeddings()
    embedding.register_forward_hook(lambda module, args, output: read.append(args[0].shape[1]))
    together = running.rank(prompts, answers).log_probability
    assert read[0] == 1 + len(long) + 0, "the beginning first, alone"
    assert max(read[1:]) <= len("Bormas and a longer tail of words -") + 1
    for row, prompt in zip(together, prompts, strict=True):
        alone = running.rank([prompt], answers).log_probability[0]
        np.testing.assert_allclose(row, alone, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma", "gemma3", "mistral", "glm", "phi"])
def test_answers_of_several_tokens_are_read_with_their_prompt_in_one_pass(family: str, tmp_path: Path) -> None:
    loaded = load_model(str(save(family, tmp_path)), device="cpu")
    calls: list[int] = []
    loaded.model.register_forward_pre_hook(lambda *_: calls.append(1))
    ranking = TorchEngine(loaded, max_length=256, batch_size=4).rank(PROMPTS, CANDIDATES)
    assert len(calls) == -(-len(PROMPTS) // 4)
    np.testing.assert_allclose(ranking.log_probability, reference(loaded, PROMPTS, CANDIDATES), atol=TIGHT)


@pytest.mark.parametrize("family", ["bloom", "gpt2"])
def test_families_with_other_positions_read_answers_behind_their_prompt(family: str, tmp_path: Path) -> None:
    loaded = load_model(str(save(family, tmp_path)), device="cpu")
    calls: list[int] = []
    loaded.model.register_forward_pre_hook(lambda *_: calls.append(1))
    ranking = TorchEngine(loaded, max_length=240, batch_size=16).rank(PROMPTS, CANDIDATES)
    assert len(calls) == 2
    np.testing.assert_allclose(ranking.log_probability, reference(loaded, PROMPTS, CANDIDATES), atol=TIGHT)

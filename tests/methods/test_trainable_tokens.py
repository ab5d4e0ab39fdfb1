"""The rows of chosen tokens train, and no others, wherever the embedding stands; they come back, and leave the base clean."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import fintune
from fintune.config.load import load
from fintune.errors import ConfigError, ModelError
from fintune.evaluation.score import score_part
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from tests.families import FAMILIES, save
from tests.methods.starting import assert_trains_and_comes_back, scores, started
from tests.tiny import config_for

PLUS = 10
"""the id of `+`: the tokenizer has a token a byte, from `!` on"""


@pytest.fixture(scope="module")
def own_head(tiny_seq2seq: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mT5 whose head is not its embedding, as that of mT0 and Flan-T5; its config claims that it is."""
    folder = tmp_path_factory.mktemp("models") / "own-head"
    folder.mkdir()
    for file in tiny_seq2seq.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = torch.randn(weights["shared.weight"].shape, generator=torch.Generator().manual_seed(1))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def rows(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """The embedding as each of its readers sees it."""
    base = loaded.model.get_base_model() if hasattr(loaded.model, "get_base_model") else loaded.model
    places = [
        n for n in ("model.embed_tokens", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head") if _has(base, n)
    ]
    return {name: base.get_submodule(name).weight.detach().clone() for name in places}


def _has(model: Any, name: str) -> bool:
    return name in dict(model.named_modules(remove_duplicate=False))


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, set[int]]:
    return {n: set((w != after[n]).any(dim=1).nonzero().flatten().tolist()) for n, w in before.items()}


def test_only_the_chosen_rows_train_and_come_back(tiny_model: Path, tmp_path: Path) -> None:
    """Embedding and head are one here: the head's rows move with the embedding's."""
    before = rows(load_model(str(tiny_model), device="cpu"))
    tuned = assert_trains_and_comes_back(tiny_model, tmp_path, trainable_tokens=["+", 65, 10])
    assert changed(before, rows(tuned)) == {name: {PLUS, 65} for name in before}
    trained = [p for n, p in tuned.model.named_parameters() if p.requires_grad and "lora_" not in n]
    assert [tuple(p.shape) for p in trained] == [(2, 32)]
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert [tuple(w.shape) for n, w in saved.items() if "lora_" not in n] == [(2, 32)]


def test_a_head_of_its_own_is_left_alone(own_head: Path, tmp_path: Path) -> None:
    before = rows(load_model(str(own_head), device="cpu"))
    np.testing.assert_allclose(
        scores(started(own_head, trainable_tokens=["+"])), scores(load_model(str(own_head), device="cpu")), atol=1e-5
    )
    tuned = assert_trains_and_comes_back(own_head, tmp_path, trainable_tokens=["+", 65])
    moved = changed(before, rows(tuned))
    assert moved["lm_head"] == set()
    assert moved["encoder.embed_tokens"] <= {PLUS, 65}
    assert PLUS in moved["encoder.embed_tokens"]


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_count_in_every_family(tmp_path: Path, family: str) -> None:
    tuned = started(save(family, tmp_path), trainable_tokens=["+"])
    before = scores(tuned)
    with torch.no_grad():
        for name, parameter in tuned.model.named_parameters():
            if "trainable_tokens" in name:
                parameter.mul_(-2)
    after = scores(tuned)
    assert np.abs(after[0] - before[0]).max() > 1e-2, "the first prompt holds a +"


def test_a_run_with_trained_tokens_leaves_the_base_clean(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> None:
    raw = config_for(tiny_causal, rows_file, tmp_path)
    raw["train"] |= {"epochs": 1}
    raw["method"] |= {"trainable_tokens": ["+", "-", "="]}
    assert not LoraOptions(trainable_tokens=["+"]).changes_base()
    run = fintune.train(raw)
    assert score_part(run, "test").scores == run.scores()["test"]
    assert run.config().method.trainable_tokens == ["+", "-", "="], "as they were written"
    raw["name"], raw["method"] = "plain", {"name": "lora", "r": 1}
    raw["train"] |= {"learning_rate": 0.0}
    untouched = fintune.train(raw)
    assert run.baselines()["zero-shot"] == untouched.baselines()["zero-shot"]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("up", r"'up' is not one token of this tokenizer, but 2: u \| p"),
        ("", "'' is not one token of this tokenizer, but 0"),
        (259, "259 is no id of this vocabulary"),
    ],
)
def test_what_is_no_token_is_refused(tiny_causal: Path, token: str | int, message: str) -> None:
    with pytest.raises(ModelError, match=rf"method\.trainable_tokens: {message}"):
        started(tiny_causal, trainable_tokens=[token])


def test_a_token_may_be_named_as_in_the_vocabulary(tiny_causal: Path) -> None:
    tokenizer = load_model(str(tiny_causal), device="cpu").tokenizer
    chosen = LoraOptions(trainable_tokens=["Ġ", " ", "<eos>", 3]).resolved(tokenizer)
    assert chosen.trainable_tokens == [3, tokenizer(" ", add_special_tokens=False)["input_ids"][0], 258]


def test_an_embedding_that_trains_in_full_has_no_tokens_to_choose(tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match="embed_tokens trains in full already"):
        started(tiny_causal, trainable_tokens=["+"], modules_to_save=["embed_tokens"])


def test_a_negative_id_is_refused_with_the_config() -> None:
    with pytest.raises(ConfigError, match="trainable_tokens"):
        load({"method": {"trainable_tokens": [-1]}})

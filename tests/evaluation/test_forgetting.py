"""Perplexity on general text: that of the model's own loss, whatever stands beside a text; a run records its rise."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.evaluation import forgetting
from fintune.evaluation.forgetting import base_perplexity, general_texts, perplexity_on
from fintune.methods import METHODS
from fintune.models import LoadedModel, load_model
from fintune.runtime.progress import listening
from tests.tiny import config_for

TEXTS = ["Short.", "A sentence of some more words, so that others are padded.", "雨下了一整天。"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def loaded(tiny_causal: Path) -> LoadedModel:
    return load_model(str(tiny_causal), device="cpu")


def plain(loaded: LoadedModel, texts: list[str]) -> tuple[float, int]:
    """One text at a time, by the model's own loss."""
    total, tokens = 0.0, 0
    for text in texts:
        ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            total += float(loaded.model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    return math.exp(total / tokens), tokens


@pytest.mark.parametrize("budget", [1, 259 * 60 * 2, 64_000_000])
def test_it_is_the_models_own_loss_at_any_batch(
    loaded: LoadedModel, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_LOGITS_BUDGET", budget)
    value, tokens = plain(loaded, TEXTS)
    found = perplexity_on(loaded, TEXTS)
    assert found.value == pytest.approx(value, rel=1e-5)
    assert found.tokens == tokens


def test_a_base_models_own_is_measured_once(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    first = base_perplexity(loaded, TEXTS)
    assert first == perplexity_on(loaded, TEXTS)
    monkeypatch.setattr(forgetting, "perplexity_on", lambda *_: 1 / 0)
    assert base_perplexity(loaded, TEXTS) == first
    for other, texts in ((replace(loaded, sha256="another"), TEXTS), (loaded, TEXTS[:2])):
        with pytest.raises(ZeroDivisionError):
            base_perplexity(other, texts)


def test_virtual_tokens_of_a_soft_prompt_are_not_scored(loaded: LoadedModel, tiny_causal: Path) -> None:
    own, method = load_model(str(tiny_causal), device="cpu"), METHODS["prompt"]
    torch.manual_seed(0)
    options = method.options(num_virtual_tokens=4)  # type: ignore[call-arg]
    soft = replace(own, model=method.attach(own.model, options, "causal").eval())
    found = perplexity_on(soft, TEXTS)
    assert found.tokens == perplexity_on(loaded, TEXTS).tokens
    assert found.value != pytest.approx(perplexity_on(loaded, TEXTS).value, rel=1e-3)
    assert found.value < 1e4


def test_the_general_text_is_ours_and_about_other_things() -> None:
    texts = general_texts()
    assert len(texts) == len(set(texts)) == 60
    assert sum("\u4e00" <= text[0] <= "\u9fff" for text in texts) >= 15
    assert all(40 <= len(text) <= 450 for text in texts)
    lower = " ".join(texts).lower()
    assert not any(word in lower for word in ("profit", "shares", "earnings", "股", "利润"))


def test_a_run_records_the_rise(tiny_config: dict[str, Any], loaded: LoadedModel) -> None:
    run = fintune.train(tiny_config, ["evaluation.forgetting=true", "evaluation.baselines=[]", "train.epochs=2"])
    found = json.loads((run.folder / "forgetting.json").read_text())
    assert set(found) == {"before", "after", "tokens"}
    base = perplexity_on(loaded, general_texts())
    assert (found["before"], found["tokens"]) == (pytest.approx(base.value), base.tokens)
    from fintune.inference.load import load_tuned

    assert found["after"] == pytest.approx(perplexity_on(load_tuned(run), general_texts()).value)
    assert found["after"] != pytest.approx(found["before"], rel=1e-3)


def test_nothing_is_measured_unless_asked(trained: fintune.Run) -> None:
    assert not (trained.folder / "forgetting.json").exists()


def test_an_encoder_decoder_has_none_and_that_is_said(tiny_seq2seq: Path, rows_file: Path, tmp_path: Path) -> None:
    config, said = config_for(tiny_seq2seq, rows_file, tmp_path), []
    with listening(lambda event: said.append(event.note)):
        run = fintune.train(config, ["evaluation.forgetting=true", "evaluation.baselines=[]", "train.epochs=1"])
    assert not (run.folder / "forgetting.json").exists()
    assert said.count("not measured: an encoder-decoder has no perplexity of running text") == 1

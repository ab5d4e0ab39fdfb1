"""Every entry of the registry on a tiny causal model and a tiny encoder-decoder: it trains what it says, learns, comes back, merges."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import set_seed

import fintune
from fintune.errors import ModelError
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.methods.example_losses import example_losses
from fintune.models import LoadedModel, load_model
from fintune.records import Prompt
from tests.families import save
from tests.loaded import fresh, nothing_saved
from tests.methods.expected import TRAINS
from tests.methods.starting import PROMPTS
from tests.training.loop.test_trainer import encoded_rows, fit, silent

OPTIONS: dict[str, dict[str, Any]] = {
    "bitfit": {"add": True}, "freeze": {"blocks": 1}, "vera": {"r": 8}, "pissa": {"lora_dropout": 0.0},
}  # fmt: skip
"""what a method needs on models of two narrow blocks without biases"""
NEEDS = {"loftq": "nf4"}
"""bases in 4 bits: their products need widths that 64 divides"""
RATE = {"full": 5e-3, "freeze": 1e-2, "bitfit": 3e-2, "norms": 3e-2, "ia3": 5e-2, "vera": 5e-2, "lora-plus": 2e-3}
METHOD = pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trains])


def base_for(name: str, model: Path) -> LoadedModel:
    return fresh(model, quantization=NEEDS.get(name, "none"))


def attached(name: str, model: Path, **options: Any) -> LoadedModel:
    method, loaded = METHODS[name], base_for(name, model)
    chosen = method.options(**(OPTIONS.get(name, {}) | options)).resolved(loaded.tokenizer)
    set_seed(0)
    tuned = replace(loaded, model=method.attach(loaded.model, chosen, loaded.kind))
    method.initialize(tuned.model, chosen, example_losses(tuned, encoded_rows(tuned, 12), 0))
    return tuned


def learn(name: str, tuned: LoadedModel, folder: Path, rate: float | None = None, **more: Any) -> list[float]:
    """Losses of some steps."""
    method, losses = METHODS[name], []
    hooks = replace(
        silent(log=lambda line: losses.append(line["loss"]) if "loss" in line else None),
        rates=method.rates(tuned.model, method.options()) if method.rates else {},
        steps=method.steps,
    )
    with nothing_saved():
        fit(tuned, folder, hooks, n=32, learning_rate=RATE.get(name, 1e-2) if rate is None else rate, **more)
    return losses


def scores(loaded: LoadedModel, prompts: list[Prompt] = PROMPTS) -> np.ndarray:
    loaded.model.eval()
    return TorchEngine(loaded, max_length=96).rank(prompts, ["up", "down", "sideways"]).log_probability


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny models in widths that 4-bit products take."""
    folders = {}
    for family, sizes in {
        "llama": {"hidden_size": 64, "intermediate_size": 128, "num_key_value_heads": 2},
        "mt5": {"d_model": 64, "d_kv": 32, "d_ff": 128},
    }.items():
        folders[family] = save(family, tmp_path_factory.mktemp("wide") / family, **sizes)
    return folders


@pytest.fixture
def model(request: pytest.FixtureRequest, name: str, tiny_model: Path, wide: dict[str, Path]) -> Path:
    if name not in NEEDS:
        return tiny_model
    return wide["mt5" if tiny_model.name == "seq2seq" else "llama"]


@METHOD
def test_only_what_is_meant_trains_and_the_loss_falls(name: str, model: Path, tmp_path: Path) -> None:
    tuned = attached(name, model)
    before = {n: p.detach().clone() for n, p in tuned.model.named_parameters()}
    chosen = {n for n, p in tuned.model.named_parameters() if p.requires_grad}
    wanted, *counts = TRAINS[name]
    assert {n for n in chosen if not re.fullmatch(wanted, n)} == set()
    assert len(chosen) == counts[tuned.kind == "seq2seq"]
    losses = learn(name, tuned, tmp_path, epochs=5)
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.05
    after = dict(tuned.model.named_parameters())
    moved = {n for n in before if not torch.equal(before[n], after[n].detach())}
    assert moved <= chosen
    assert len(moved) > 0.9 * len(chosen), "but for a few that no gradient has reached yet"


@METHOD
def test_nothing_is_learned_at_rate_0(name: str, model: Path, tmp_path: Path) -> None:
    tuned = attached(name, model)
    before = scores(tuned)
    learn(name, tuned, tmp_path, rate=0.0)
    if METHODS[name].steps is None:  # AdaLoRA drops ranks whatever the rate; they are of no size yet
        np.testing.assert_array_equal(scores(tuned), before)
    np.testing.assert_allclose(scores(tuned), before, atol=1e-5)


@METHOD
def test_what_is_saved_comes_back_and_merged_it_answers_alike_or_says_why_not(
    name: str, model: Path, tmp_path: Path
) -> None:
    method, tuned = METHODS[name], attached(name, model)
    before = scores(tuned)
    learn(name, tuned, tmp_path)
    trained = scores(tuned)
    assert np.abs(trained - before).max() > 1e-2
    method.save(tuned.model, tmp_path / "adapter")
    plain = base_for(name, model)
    kind = type(plain.model)
    weights = {n: p.detach().clone() for n, p in plain.model.named_parameters()}
    again = load_adapter(plain, tmp_path / "adapter")
    np.testing.assert_allclose(scores(again), trained, atol=1e-5, rtol=1e-5)
    one = [scores(again, [prompt])[0] for prompt in PROMPTS]
    np.testing.assert_allclose(one, scores(again), atol=1e-4, err_msg="single and batched scores agree")

    options = method.options(**OPTIONS.get(name, {}))
    if (reason := method.why_not_mergeable(options)) or name in NEEDS:
        with pytest.raises(ModelError, match=r"cannot be merged: \w+"):
            method.merged(tuned.model, options)
        if reason:
            with pytest.raises(ModelError, match=re.escape(f"cannot be merged: {reason}")):
                method.need_mergeable(options)
        return
    merged = replace(tuned, model=method.merged(tuned.model, options))
    assert type(merged.model) is kind
    np.testing.assert_allclose(scores(merged), trained, atol=1e-4)
    own = dict(merged.model.named_parameters())
    assert own.keys() == weights.keys()
    assert any(not torch.equal(own[n].detach(), weights[n]) for n in weights)


@METHOD
def test_a_resumed_training_ends_in_the_same_parameters(name: str, model: Path, tmp_path: Path) -> None:
    whole, begun = attached(name, model), attached(name, model)
    learn(name, whole, tmp_path / "whole", epochs=2)
    asked: list[int] = []
    method = METHODS[name]
    hooks = replace(
        silent(), should_stop=lambda: asked.append(1) or len(asked) == 3, steps=method.steps,
        rates=method.rates(begun.model, method.options()) if method.rates else {},
    )  # fmt: skip
    settings: dict[str, Any] = {"n": 32, "learning_rate": RATE.get(name, 1e-2), "epochs": 2}
    fit(begun, tmp_path / "parts", hooks, **settings)
    onward = attached(name, model)
    fit(onward, tmp_path / "parts", replace(hooks, should_stop=lambda: False), resume=True, **settings)
    wanted = {n: p for n, p in whole.model.named_parameters() if p.requires_grad}
    found = dict(onward.model.named_parameters())
    for parameter, value in wanted.items():
        torch.testing.assert_close(found[parameter], value, atol=0, rtol=0)


@METHOD
def test_activations_computed_again_change_nothing(name: str, model: Path, tmp_path: Path) -> None:
    calm = {"lora_dropout": 0.0} if "lora_dropout" in METHODS[name].options.model_fields else {}
    kept, again = attached(name, model, **calm), attached(name, model, **calm)  # dropout would draw in another order
    whole = learn(name, kept, tmp_path / "kept")
    assert METHODS[name].checkpointing
    np.testing.assert_allclose(
        learn(name, again, tmp_path / "again", gradient_checkpointing=True), whole, atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("name", [n for n, method in METHODS.items() if method.only or not method.quantized])
def test_a_base_model_it_does_not_go_with_is_refused_before_weights_load(
    name: str, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintune.training.train.load_base", lambda config: pytest.fail("weights were loaded"))
    wrong = "none" if METHODS[name].only else "nf4"
    tiny_config["method"] = {"name": name}
    with pytest.raises(ModelError, match=r"model\.quantization|method\.name: \w+ is for"):
        fintune.train(tiny_config, [f"model.quantization={wrong}"])


def test_biases_that_a_model_has_are_merged_by_being_there(tmp_path: Path) -> None:
    tuned = attached("bitfit", save("gpt2", tmp_path / "model"), add=False)
    assert {n.rpartition(".")[2] for n, p in tuned.model.named_parameters() if p.requires_grad} == {"bias"}
    learn("bitfit", tuned, tmp_path)
    trained = scores(tuned)
    plain = load_model(str(tmp_path / "model"), device="cpu")
    merged = METHODS["bitfit"].merged(tuned.model, METHODS["bitfit"].options())
    plain.model.load_state_dict(merged.state_dict())
    np.testing.assert_array_equal(scores(plain), trained)


def test_an_entry_that_has_virtual_tokens_says_so() -> None:
    for name, method in METHODS.items():
        before = method.options().tokens_before() > 0
        assert method.virtual_tokens == (
            before or "prefix" in method.saved_format or name in ("prefix", "p-tuning-v2")
        ), name

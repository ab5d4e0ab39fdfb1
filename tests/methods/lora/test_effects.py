"""Every number and name of a LoRA config does what it says, on a causal model and on an encoder-decoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fintune.models import load_model
from tests.families import save
from tests.methods.starting import assert_trains_and_comes_back, factors, layers, scores, started

NORM = {"causal": "post_attention_layernorm", "seq2seq": "layer_norm"}
Q = {"causal": "q_proj", "seq2seq": "q"}
V = {"causal": "v_proj", "seq2seq": "v"}


def trains(model: Path, **options: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in started(model, **options).model.named_parameters() if p.requires_grad}


def last(name: str) -> str:
    return name.rpartition(".")[2]


def test_r_is_the_rank_of_every_update(tiny_model: Path) -> None:
    for layer in layers(started(tiny_model, r=3, init_lora_weights=False)).values():
        a, b = factors(layer)
        weight = layer.get_base_layer().weight
        assert (a.shape, b.shape) == ((3, weight.shape[1]), (weight.shape[0], 3))
        assert torch.linalg.matrix_rank(layer.get_delta_weight("default")) == 3
    names = trains(tiny_model, r=3)
    assert all(".lora_" in n for n in names)


@pytest.mark.parametrize(
    ("options", "times"),
    [({"lora_alpha": 24}, 3), ({"use_rslora": True}, 2), ({"use_rslora": True, "lora_alpha": 24}, 6)],
)
def test_the_update_is_scaled(tiny_model: Path, options: dict[str, Any], times: float) -> None:
    """Of rank 4: rsLoRA divides by 2 instead of 4."""
    plain = layers(started(tiny_model, lora_alpha=8, init_lora_weights=False))
    scaled = layers(started(tiny_model, **({"lora_alpha": 8, "init_lora_weights": False} | options)))
    for name, layer in scaled.items():
        a, b = factors(plain[name])
        torch.testing.assert_close(plain[name].get_delta_weight("default"), 2 * b @ a)
        torch.testing.assert_close(layer.get_delta_weight("default"), times * plain[name].get_delta_weight("default"))


def test_dropout_falls_on_what_the_update_reads_in_training_alone(tiny_model: Path) -> None:
    name, layer = next(iter(layers(started(tiny_model, lora_dropout=0.5, init_lora_weights=False)).items()))
    rows = torch.ones(64, layer.in_features)
    with torch.no_grad():
        base, whole, dropped = layer.get_base_layer()(rows), layer.eval()(rows), layer.train()(rows)
        assert torch.equal(layer.eval()(rows), whole)
        assert not torch.allclose(dropped, whole)
        assert torch.equal(layer.get_base_layer()(rows), base)
        spread = (dropped - whole).std(dim=0) / layer.get_delta_weight("default").norm(dim=1)
        assert bool(((spread > 0.5) & (spread < 1.5)).all()), "half of the inputs go, the others count double"
        still = layers(started(tiny_model, lora_dropout=0.0, init_lora_weights=False))[name].train()
        assert torch.equal(still(rows), whole)


@pytest.mark.parametrize("form", ["list", "regex", "auto"])
def test_the_layers_that_are_named_are_adapted(tiny_model: Path, form: str) -> None:
    q, v = Q[tiny_model.name], V[tiny_model.name]
    base = load_model(str(tiny_model), device="cpu").model
    linear = {n for n, m in base.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"}
    chosen: Any = {"list": [q, v], "regex": rf".*\.({q}|{v})", "auto": "auto"}[form]
    adapted = {n.removeprefix("base_model.model.") for n in layers(started(tiny_model, target_modules=chosen))}
    assert adapted == (linear if form == "auto" else {n for n in linear if last(n) in (q, v)})
    assert len(adapted) >= 4


def test_patterns_set_rank_and_alpha_apart(tiny_model: Path) -> None:
    q, v = Q[tiny_model.name], V[tiny_model.name]
    tuned = started(tiny_model, r=4, lora_alpha=8, rank_pattern={q: 2}, alpha_pattern={rf".*\.1\..*\.{v}": 40})
    for name, layer in layers(tuned).items():
        rank = 2 if last(name) == q else 4
        alpha = 40 if last(name) == v and ".1." in name else 8
        assert len(factors(layer)[0]) == rank, name
        assert layer.scaling["default"] == alpha / rank, name


def test_dora_learns_a_magnitude_a_layer_and_comes_back(tiny_model: Path, tmp_path: Path) -> None:
    tuned = assert_trains_and_comes_back(tiny_model, tmp_path, use_dora=True)
    magnitudes = {n: p for n, p in tuned.model.named_parameters() if "magnitude" in n}
    assert len(magnitudes) == len(layers(tuned))
    for name, layer in layers(tuned).items():
        norm = layer.get_base_layer().weight.norm(dim=1)
        assert not torch.allclose(magnitudes[f"{name}.lora_magnitude_vector.default.weight"], norm, atol=1e-5), name
    assert not [n for n in trains(tiny_model) if "magnitude" in n]


def test_modules_to_save_train_in_full_and_come_back(tiny_model: Path, tmp_path: Path) -> None:
    norm = NORM[tiny_model.name]
    base = dict(load_model(str(tiny_model), device="cpu").model.named_parameters())
    assert_trains_and_comes_back(tiny_model, tmp_path, modules_to_save=[norm])
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    full = {n.removeprefix("base_model.model."): w for n, w in saved.items() if "lora_" not in n}
    assert set(full) == {n for n in base if n.endswith(f"{norm}.weight")}
    assert all(not torch.equal(w, base[n]) for n, w in full.items())


@pytest.mark.parametrize("family", ["gpt2", "bart"])
@pytest.mark.parametrize("bias", ["none", "lora_only", "all"])
def test_biases_train_are_saved_and_come_back(tmp_path: Path, family: str, bias: str) -> None:
    folder, target = save(family, tmp_path / family), {"gpt2": "c_fc", "bart": "fc1"}[family]
    base = dict(load_model(str(folder), device="cpu").model.named_parameters())
    every = {n for n in base if n.endswith("bias")}
    wanted = {"none": set(), "lora_only": {n for n in every if n.endswith(f"{target}.bias")}, "all": every}[bias]
    assert {"none": 0, "lora_only": 1, "all": 10}[bias] <= len(wanted)
    options = {"target_modules": [target], "bias": bias}
    names = {_plain(n) for n in trains(folder, **options) if ".lora_" not in n}
    assert_trains_and_comes_back(folder, tmp_path, **options)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    kept = {_plain(n): w for n, w in saved.items() if ".lora_" not in n}
    assert names == set(kept) == wanted
    moved = {n for n, w in kept.items() if not torch.equal(w, base[n])}
    assert len(moved) >= 0.8 * len(wanted), "a key's bias has no gradient: softmax does not see it"


def _plain(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


@pytest.mark.parametrize("told", [None, True, False])
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to")
def test_transposed_weights_are_updated_transposed(tmp_path: Path, tiny_model: Path, told: bool | None) -> None:
    """Found when it is not told; told wrongly, PEFT says so and puts it right."""
    for folder, transposed in ((save("gpt2", tmp_path / "gpt2"), True), (tiny_model, False)):
        tuned = started(folder, init_lora_weights=False, fan_in_fan_out=told)
        for layer in layers(tuned).values():
            a, b = factors(layer)
            delta, scale = layer.get_delta_weight("default"), layer.scaling["default"]
            assert delta.shape == layer.get_base_layer().weight.shape
            torch.testing.assert_close(delta, scale * (b @ a).T if transposed else scale * b @ a)
        before = scores(tuned)
        np.testing.assert_allclose(before, scores(_merged(tuned)), atol=1e-3, rtol=1e-4)


def _merged(tuned: Any) -> Any:
    tuned.model.merge_adapter()
    return tuned

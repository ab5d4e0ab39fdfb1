"""LoRA reaches the linear layers of the blocks and nothing else; every field has its effect."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fintune.errors import ModelError
from fintune.methods.lora import LoraOptions, attach, block_linear_layers
from fintune.models import load_model

CAUSAL = {f"self_attn.{n}_proj" for n in "qkvo"} | {f"mlp.{n}_proj" for n in ("gate", "up", "down")}


def attached(model: Path, **options: Any) -> Any:
    loaded = load_model(str(model), device="cpu")
    torch.manual_seed(0)
    return attach(loaded.model, LoraOptions(**options), loaded.kind)


def adapted(model: Any) -> set[str]:
    """Names of the adapted layers, from the block on."""
    return {n.split(".lora_A")[0].partition("model.model.")[2] for n, _ in model.named_parameters() if ".lora_A" in n}


def test_auto_takes_every_linear_layer_of_the_blocks(tiny_causal: Path) -> None:
    expected = {f"model.layers.{i}.{name}".removeprefix("model.") for i in (0, 1) for name in CAUSAL}
    assert {name.removeprefix("model.") for name in adapted(attached(tiny_causal))} == expected


def test_auto_on_an_encoder_decoder(tiny_seq2seq: Path) -> None:
    import re

    model = load_model(str(tiny_seq2seq), device="cpu").model
    pattern = block_linear_layers(model)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    matched = {name for name in linear if re.fullmatch(pattern, name)}
    assert linear - matched == {"lm_head"}
    assert any(name.startswith("encoder") for name in matched)
    assert any("EncDecAttention" in name for name in matched)


def test_without_blocks_auto_is_refused() -> None:
    with pytest.raises(ModelError, match="no linear layers in numbered blocks"):
        block_linear_layers(torch.nn.Sequential(torch.nn.Embedding(3, 2)))


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], r".*\.(q|v)_proj"])
def test_chosen_layers_alone(tiny_causal: Path, targets: str | list[str]) -> None:
    names = adapted(attached(tiny_causal, target_modules=targets))
    assert {name.rpartition(".")[2] for name in names} == {"q_proj", "v_proj"}
    assert len(names) == 4


def test_unknown_layers_are_refused(tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=r"method\.target_modules"):
        attached(tiny_causal, target_modules=["query"])


def test_rank_alpha_and_dropout_take_effect(tiny_causal: Path) -> None:
    model = attached(tiny_causal, r=3, lora_alpha=12, lora_dropout=0.25)
    layer = model.base_model.model.model.layers[0].mlp.up_proj
    assert layer.lora_A["default"].weight.shape == (3, 32)
    assert layer.scaling["default"] == 4.0
    assert layer.lora_dropout["default"].p == 0.25
    assert not any(p.requires_grad for n, p in model.named_parameters() if "lora_" not in n)


def test_a_tied_head_is_refused_before_training(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    with pytest.raises(ModelError, match="the head of this model is its embedding"):
        attach(loaded.model, LoraOptions(target_modules=["lm_head"]), loaded.kind)

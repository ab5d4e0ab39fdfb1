"""Settings that name nothing, or that PEFT would take without doing what they say, are refused before training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fintune.errors import ConfigError, ModelError
from fintune.methods import METHODS
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from fintune.models.shortcuts.trunk import NoTrunk, find_trunk
from tests.families import save


def attach(folder: Path, **options: Any) -> LoadedModel:
    base = load_model(str(folder), device="cpu")
    torch.manual_seed(0)
    return replace(base, model=METHODS["lora"].attach(base.model, LoraOptions(r=2, **options), base.kind))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("checks")

    def saved(family: str) -> Path:
        return root / family if (root / family).exists() else save(family, root / family)

    return saved


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("llama", {"modules_to_save": ["nosuch"]}, "modules_to_save: no layer is called 'nosuch'"),
        ("llama", {"target_modules": ["q_proj", "v_prj"]}, "target_modules: no layer is called 'v_prj'"),
        ("llama", {"target_modules": "q_proj"}, "target_modules: no layer's whole name fits 'q_proj'"),
        ("llama", {"exclude_modules": "q_proj"}, "exclude_modules: no layer's whole name fits"),
        ("llama", {"rank_pattern": {"nosuch": 2}}, "rank_pattern: no layer's name ends in 'nosuch'"),
        ("llama", {"alpha_pattern": {"nosuch": 2}}, "alpha_pattern: no layer's name ends in 'nosuch'"),
        ("llama", {"target_modules": ["q_proj"], "layers": [0, 7]}, "layers: no block 7"),
        ("llama", {"target_modules": ["q_proj"], "layers_to_transform": [9]}, "layers: no block 9"),
        ("llama", {"bias": "all"}, "bias: all, and this model has no biases"),
        (
            "llama",
            {"target_modules": ["q_proj", "o_proj"], "modules_to_save": ["q_proj"]},
            "q_proj is in target_modules too",
        ),
        (
            "llama",
            {"target_modules": ["embed_tokens", "q_proj"], "init_lora_weights": "lora_ga"},
            "starts linear layers alone",
        ),
        (
            "llama",
            {"target_modules": ["embed_tokens", "q_proj"], "trainable_tokens": [65]},
            "embed_tokens is adapted already (method.target_modules)",
        ),
        ("llama", {"init_lora_weights": "eva", "rank_pattern": {"q_proj": 40}}, "eva takes 40 directions"),
        ("gemma", {"modules_to_save": ["lm_head"]}, "method.modules_to_save: the head of this model is its embedding"),
        (
            "t5",
            {"modules_to_save": ["shared"]},
            "method.modules_to_save: encoder and decoder read their own embed_tokens",
        ),
        ("bart", {"modules_to_save": ["shared"]}, "method.modules_to_save: encoder and decoder read their own"),
        ("t5", {"target_modules": ["shared", "q"]}, "method.target_modules: encoder and decoder read their own"),
    ],
)
def test_what_would_do_nothing_or_something_else_is_refused(
    folder: Any, family: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        attach(folder(family), **options)
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("options", [{"exclude_modules": "["}, {"layers_to_transform": [-1]}])
def test_values_that_cannot_be_meant_are_refused_with_the_config(options: dict[str, Any]) -> None:
    from fintune.config.load import load

    with pytest.raises(ConfigError, match=r"method\."):
        load({"method": {"name": "lora"} | options})


@pytest.mark.parametrize("family", ["llama", "bloom", "t5", "bart", "gpt2"])
def test_names_that_fit_are_taken(folder: Any, family: str) -> None:
    assert attach(folder(family), modules_to_save=["lm_head"] if family in ("llama",) else []).parameters()[0] > 0


def test_a_norm_below_the_blocks_that_trains_forbids_the_cache(folder: Any) -> None:
    loaded = attach(folder("bloom"), layers="top:1", modules_to_save=["word_embeddings_layernorm"])
    with pytest.raises(NoTrunk, match="word_embeddings_layernorm trains, and it stands below every block"):
        find_trunk(loaded.model, "causal")
    loaded = attach(folder("bloom"), layers="top:1", modules_to_save=["ln_f"])
    assert find_trunk(loaded.model, "causal").depth == 1


def test_on_a_base_in_few_bits_a_start_from_the_texts_is_taken(tmp_path: Path) -> None:
    folder = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    base = load_model(str(folder), device="cpu", quantization="nf4")
    assert METHODS["lora"].attach(base.model, LoraOptions(r=2, init_lora_weights="eva"), base.kind)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "c_attn",
            "Layers of this model: down_proj, embed_tokens, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj.",
        ),
        ("self_attn_", "Layers of this model: down_proj,"),
        ("v_prj", "Did you mean 'v_proj'? Layers of this model: down_proj,"),
    ],
)
def test_only_names_that_would_work_are_told(folder: Any, name: str, hint: str) -> None:
    with pytest.raises(ModelError) as refused:
        attach(folder("llama"), target_modules=[name])
    assert refused.value.hint.startswith(hint)
    assert refused.value.hint.endswith(".")

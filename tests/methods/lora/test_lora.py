"""LoRA reaches the linear layers of the blocks and nothing else; every field has its effect."""

from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.config.load import load
from fintune.errors import ConfigError, ModelError
from fintune.evaluation.score import score_part
from fintune.methods.lora.lora import LoraOptions, attach
from fintune.methods.targets import block_linear_layers
from fintune.models import load_model
from tests.families import save
from tests.tiny import config_for

CAUSAL = {f"self_attn.{n}_proj" for n in "qkvo"} | {f"mlp.{n}_proj" for n in ("gate", "up", "down")}


def attached(model: Path, **options: Any) -> Any:
    loaded = load_model(str(model), device="cpu")
    torch.manual_seed(0)
    return attach(loaded.model, LoraOptions(**options), loaded.kind)


def adapted(model: Any) -> set[str]:
    """Names of the adapted layers, from the block on."""
    names = (n.split(".lora_A")[0].partition("model.model.")[2] for n, _ in model.named_parameters() if ".lora_A" in n)
    return {n.removeprefix("model.") for n in names}


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


def test_auto_leaves_a_vision_tower_alone(tmp_path: Path) -> None:
    folder = save("t5gemma2", tmp_path / "model")
    names = [n for n, _ in attached(folder).named_parameters() if ".lora_A" in n]
    assert len(names) == 2 * 2 * len(CAUSAL), "encoder and decoder, two blocks each"
    linear = {
        n for n, m in load_model(str(folder), device="cpu").model.named_modules() if isinstance(m, torch.nn.Linear)
    }
    assert any("vision_tower.encoder.layers.0." in name for name in linear), "there is something to leave alone"
    assert not any("vision_tower" in name for name in names)


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


def test_a_tied_head_is_refused_before_training(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    with pytest.raises(ModelError, match="the head of this model is its embedding"):
        attach(loaded.model, LoraOptions(target_modules=["lm_head"]), loaded.kind)


@pytest.fixture(scope="module")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 of two blocks: layers with biases, weights stored (in, out)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from tests.tiny import byte_tokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "gpt2"
    config = GPT2Config(
        vocab_size=259, n_embd=32, n_layer=2, n_head=2, n_positions=256, bos_token_id=257, eos_token_id=258
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def trains(model: Any) -> set[str]:
    return {n.removeprefix("base_model.model.") for n, p in model.named_parameters() if p.requires_grad}


def test_blocks_are_chosen_by_number(tiny_causal: Path, tiny_seq2seq: Path) -> None:
    assert adapted(attached(tiny_causal, layers_to_transform=[1])) == {f"layers.1.{name}" for name in CAUSAL}
    names = [n for n in trains(attached(tiny_seq2seq, layers_to_transform=[0])) if "lora_A" in n]
    assert names
    assert all("block.0." in n for n in names)
    by_name = adapted(attached(tiny_causal, target_modules=["q_proj"], layers_to_transform=[0]))
    assert by_name == {"layers.0.self_attn.q_proj"}
    with pytest.raises(ModelError, match="no block 2") as caught:
        attached(tiny_causal, layers_to_transform=[0, 2])
    assert caught.value.hint == "The model has blocks 0 to 1."


def test_layers_are_left_out_again(tiny_causal: Path) -> None:
    kept = adapted(attached(tiny_causal, exclude_modules=["down_proj", "up_proj"]))
    assert kept == {
        f"layers.{i}.{name}" for i in (0, 1) for name in CAUSAL if name not in ("mlp.down_proj", "mlp.up_proj")
    }


@pytest.mark.parametrize(
    ("init", "b_is_zero"), [(True, True), ("gaussian", True), (False, False), ("orthogonal", False)]
)
def test_initializations_differ(tiny_causal: Path, init: bool | str, b_is_zero: bool) -> None:
    parameters = dict(attached(tiny_causal, init_lora_weights=init).named_parameters())
    b = torch.cat([p.flatten() for n, p in parameters.items() if "lora_B" in n])
    assert bool((b == 0).all()) == b_is_zero
    others = dict(
        attached(tiny_causal, init_lora_weights=not init if isinstance(init, bool) else True).named_parameters()
    )
    assert any(not torch.equal(p, others[n]) for n, p in parameters.items() if "lora_" in n)
    again = dict(attached(tiny_causal, init_lora_weights=init).named_parameters())
    assert all(torch.equal(p, again[n]) for n, p in parameters.items()), "the seed decides"


def test_gpt2_weights_are_known_to_be_transposed(tiny_gpt2: Path) -> None:
    model = attached(tiny_gpt2, r=4)
    shapes = {n.partition("transformer.")[2]: tuple(p.shape) for n, p in model.named_parameters() if "lora_A" in n}
    assert shapes["h.0.attn.c_attn.lora_A.default.weight"] == (4, 32)
    assert shapes["h.0.mlp.c_proj.lora_A.default.weight"] == (4, 128), "it reads 128 values and writes 32"
    assert model.peft_config["default"].fan_in_fan_out is True


@pytest.mark.parametrize(("bias", "count"), [("none", 0), ("lora_only", 2), ("all", 13)])
def test_biases_train_as_told(tiny_gpt2: Path, bias: str, count: int) -> None:
    trained = {n for n in trains(attached(tiny_gpt2, bias=bias, target_modules=["c_fc"])) if "lora_" not in n}
    assert len(trained) == count
    assert all(n.endswith("bias") for n in trained)
    if bias == "lora_only":
        assert trained == {f"transformer.h.{i}.mlp.c_fc.base_layer.bias" for i in (0, 1)}


@pytest.mark.parametrize("options", [{"bias": "lora_only"}, {"modules_to_save": ["ln_2"]}, {"use_dora": True}])
def test_what_was_trained_is_saved_and_the_zero_shot_model_stays_clean(
    tiny_gpt2: Path, rows_file: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Scores of the run, of the run loaded again, and of the untrained model, which must not have learned anything."""
    raw = config_for(tiny_gpt2, rows_file, tmp_path)
    raw["train"] |= {"epochs": 1}
    raw["method"] |= options
    run = fintune.train(raw)
    assert score_part(run, "test").scores == run.scores()["test"]
    raw["name"], raw["method"] = "plain", {"name": "lora", "r": 1}
    raw["train"] |= {"learning_rate": 0.0}
    untouched = fintune.train(raw)
    assert run.baselines()["zero-shot"] == untouched.baselines()["zero-shot"]
    assert run.scores()["test"]["answer_loss"].value < untouched.scores()["test"]["answer_loss"].value - 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank_pattern": {"q_proj[": 2}}, "not a regular expression"),
        ({"alpha_pattern": {"q_proj": 0}}, "must be 1 or more"),
        ({"bias": "some"}, "'none', 'all' or 'lora_only'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load({"method": options})

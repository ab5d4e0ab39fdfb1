"""What a method and a base model cannot do together is said before any weight is loaded."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.errors import BrokenEnvironment, ModelError
from fintune.methods import METHODS
from fintune.models.load import load_model
from fintune.models.references import kind_at_hand
from fintune.training.build import try_method
from fintune.training.plan import plan
from fintune.training.train import train
from tests.families import FAMILIES, save


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("fintune.models.load_model", load)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.quantized])
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_weights_in_few_bits_do_not_train(name: str, quantization: str, tiny_config: dict[str, Any]) -> None:
    config = tiny_config | {"method": {"name": name}}
    for command in (train, plan):
        with pytest.raises(ModelError, match=rf"model.quantization: {quantization}, and {name} needs"):
            command(config, [f"model.quantization={quantization}"])


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_loftq_is_for_4_bits(quantization: str, tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"loftq is for a base model in nf4, and model.quantization is {quantization}"):
        train(tiny_config | {"method": {"name": "loftq"}}, [f"model.quantization={quantization}"])


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_2", "olora", "corda", "lora_ga", "mica"])
def test_starts_from_the_weights_need_them_in_full(start: str, tiny_config: dict[str, Any]) -> None:
    config = tiny_config | {"method": {"name": "lora", "r": 2, "init_lora_weights": start}}
    with pytest.raises(
        ModelError, match=rf"nf4, and method.init_lora_weights: {start.split('_niter', maxsplit=1)[0]} starts from"
    ):
        train(config, ["model.quantization=nf4"])


@pytest.mark.parametrize("method", [{"name": "dora"}, {"name": "lora", "use_dora": True}])
def test_dora_does_not_go_with_8_bits(method: dict[str, Any], tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"int8, and method\.use_dora needs the lengths of weights"):
        train(tiny_config | {"method": method}, ["model.quantization=int8"])


def test_another_kind_and_checkpointing_are_refused(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "lora", replace(METHODS["lora"], kinds=("seq2seq",)))
    with pytest.raises(ModelError, match="lora works on seq2seq models, and this one is causal"):
        train(tiny_config)
    monkeypatch.setitem(METHODS, "lora", replace(METHODS["lora"], kinds=("causal",), checkpointing=False))
    with pytest.raises(ModelError, match="lora cannot compute its activations again"):
        train(tiny_config, ["train.gradient_checkpointing=true"])


@pytest.mark.parametrize(
    ("family", "sizes", "method", "message"),
    [
        ("gpt2", {"n_positions": 90}, {"name": "lora"}, r"96, and the model reads 90 tokens at most"),
        ("bart", {}, {"name": "prompt", "num_virtual_tokens": 170}, r"96 and 170 virtual tokens, .* reads 256 tokens"),
        ("t5gemma2", {"max_position_embeddings": 90}, {"name": "lora"}, r"96, and the model reads 90 tokens at most"),
    ],
)
def test_more_tokens_than_the_model_has_positions_are_refused(
    family: str,
    sizes: dict[str, int],
    method: dict[str, Any],
    message: str,
    tiny_config: dict[str, Any],
    tmp_path: Path,
) -> None:
    tiny_config["model"]["base"] = str(save(family, tmp_path / "model", **sizes))
    with pytest.raises(ModelError, match=message) as refused:
        train(tiny_config | {"method": method})
    assert "--set model.max_length=" in refused.value.hint


def test_a_missing_extra_is_named(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintune.config.prepare.find_spec", lambda name: None if name == "bitsandbytes" else name)
    with pytest.raises(BrokenEnvironment, match="bitsandbytes is not installed"):
        train(tiny_config, ["model.quantization=nf4", "evaluation.baselines=[]"])


@pytest.mark.parametrize(
    ("family", "method", "message"),
    [
        ("llama", {"name": "bitfit"}, "bitfit trains biases, and this model's layers have none"),
        ("llama", {"name": "lora", "target_modules": ["query"]}, "no layer is called 'query'"),
        ("mt5", {"name": "lora", "layers": [7]}, "no block 7"),
        ("bloom", {"name": "prefix"}, "computes attention in a way of its own"),
        ("llama", {"name": "p-tuning-v2", "layers": "top:9"}, "top:9, and the model has 2 blocks"),
        ("t5gemma2", {"name": "freeze", "blocks": 9}, "9, and the model has 2 blocks"),
    ],
)
def test_what_the_layers_do_not_bear_is_refused(
    family: str, method: dict[str, Any], message: str, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    tiny_config["model"]["base"] = str(save(family, tmp_path / "model"))
    for command in (train, plan):
        with pytest.raises(ModelError, match=message):
            command(tiny_config | {"method": method})


@pytest.mark.parametrize("family", ["llama", "bloom", "gpt2", "bart", "t5gemma2"])
def test_a_model_without_weights_is_refused_what_one_with_weights_is(
    family: str, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    tiny_config["model"]["base"] = str(save(family, tmp_path / "model"))
    for name in [name for name, method in METHODS.items() if method.only is None and method.trains]:
        config = load(tiny_config | {"method": {"name": name}})
        base = load_model(config.model.base, device="cpu")
        tuned = partial(METHODS[name].attach, base.model, config.method.resolved(base.tokenizer), base.kind)
        assert refusal(partial(try_method, config)) == refusal(tuned), name


def refusal(act: Callable[[], object]) -> str | None:
    """What an act is refused with."""
    try:
        act()
    except ModelError as error:
        return error.message
    return None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_says_its_kind_without_its_weights(family: str, tmp_path: Path) -> None:
    folder = save(family, tmp_path / "model")
    for file in folder.glob("*.safetensors"):
        file.unlink()
    seq2seq = {"t5", "flan-t5", "mt5", "bart", "mbart", "t5gemma2"}
    assert kind_at_hand(str(folder)) == ("seq2seq" if family in seq2seq else "causal")
    assert kind_at_hand("nobody/nothing") is None

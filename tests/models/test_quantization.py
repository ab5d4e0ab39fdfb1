"""A base model in fewer bits: counted as what it is, and only with settings that do something."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.config.load import load
from fintune.errors import ConfigError
from fintune.inference.open import open_engine
from fintune.inference.predictor import load as load_predictor
from fintune.methods import METHODS
from fintune.methods.lora.lora import LoraOptions
from fintune.models import load_model
from fintune.models.shortcuts import last_block
from tests.families import save
from tests.methods.test_every_method import scores
from tests.tiny import config_for


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_parameters_are_counted_as_if_in_full(quantization: str, tmp_path: Path) -> None:
    folder = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    counts = []
    for name in ("none", quantization):
        base = load_model(str(folder), device="cpu", quantization=name)
        tuned = replace(base, model=METHODS["lora"].attach(base.model, LoraOptions(r=2), base.kind))
        counts.append(tuned.parameters())
    assert counts[0] == counts[1]


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_scales_are_quantized_in_4_bits_alone(quantization: str) -> None:
    with pytest.raises(ConfigError, match=f"goes with quantization: nf4, not {quantization}"):
        load({"model": {"quantization": quantization, "double_quantization": True}})


def test_loftq_makes_up_for_what_4_bits_lose(tmp_path: Path) -> None:
    """Of GPT-2 too, whose files hold weights the other way round; the attention's last layer is square."""
    from bitsandbytes.functional import dequantize_4bit
    from transformers import AutoModelForCausalLM

    folder = save("gpt2", tmp_path / "model", n_embd=64)
    plain = dict(AutoModelForCausalLM.from_pretrained(folder).named_modules())
    base = load_model(str(folder), device="cpu", quantization="nf4")
    method = METHODS["loftq"]
    model = method.attach(base.model, method.options(r=16), base.kind)
    method.initialize(model, method.options(r=16), [])
    seen = 0
    for name, layer in model.requires_grad_(False).named_modules():
        if not hasattr(layer, "lora_A") or not hasattr(layer.get_base_layer().weight, "quant_state"):
            continue
        held = layer.get_base_layer().weight
        lost = plain[name.removeprefix("base_model.model.")].weight.detach().T - dequantize_4bit(
            held.data, held.quant_state
        )
        with torch.no_grad():
            update = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        made_up = layer.scaling["default"] * update
        assert float((lost - made_up).norm()) < 0.8 * float(lost.norm())
        seen += 1
    assert seen == 8


FITTING = [name for name, method in METHODS.items() if method.quantized and method.trains]


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("family", ["llama", "mt5"])
def test_every_method_that_says_so_trains_on_4_bits(name: str, family: str, rows_file: Path, tmp_path: Path) -> None:
    sizes = {"llama": {"hidden_size": 64, "intermediate_size": 128, "num_key_value_heads": 2}}
    folder = save(family, tmp_path / "model", **sizes.get(family, {"d_model": 64, "d_kv": 32, "d_ff": 128}))
    config = config_for(folder, rows_file, tmp_path) | {"method": {"name": name}}
    config["evaluation"] |= {"baselines": [], "test": False}
    run = fintune.train(config, ["model.quantization=nf4", "train.epochs=1"])
    stored = run.predictions("validation")
    again = load_predictor(run)([p.text for p in stored])
    for one, other in zip(stored, again, strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)


@pytest.mark.parametrize("name", ["lora", "ia3", "prompt", "prefix", "houlsby", "linear-probe"])
def test_methods_of_each_sort_train_on_8_bits(name: str, rows_file: Path, tmp_path: Path) -> None:
    config = config_for(save("llama", tmp_path / "model"), rows_file, tmp_path) | {"method": {"name": name}}
    config["evaluation"] |= {"baselines": [], "test": False}
    run = fintune.train(config, ["model.quantization=int8", "train.epochs=2"])
    losses = [line["loss"] for line in run.log() if "step" in line]
    assert losses[-1] != losses[0]
    stored = run.predictions("validation")
    again = load_predictor(run)([p.text for p in stored])
    for one, other in zip(stored, again, strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)


def test_the_scales_of_4_bits_are_quantized_on_request(tmp_path: Path) -> None:
    folder = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    for double in (False, True):
        model = load_model(str(folder), device="cpu", quantization="nf4", double=double).model
        states = [p.quant_state for p in model.parameters() if getattr(p, "quant_state", None) is not None]
        assert [state.nested for state in states] == [double] * 14


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_queries_that_nobody_reads_are_as_wide_as_the_layer(
    quantization: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight in 4 bits has the shape of its packing: thousands of times as many numbers a token, were it taken for the width."""
    folder = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    base = load_model(str(folder), device="cpu", quantization=quantization)
    queries, widths = last_block.queries_of_last_block(base.model), []
    original = last_block._Keeping.update

    def update(self: Any, *args: Any, **kwargs: Any) -> Any:
        assert queries is not None
        widths.append(queries(torch.zeros(1, 1, 64)).shape[-1])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(last_block._Keeping, "update", update)
    scores(base)
    assert set(widths) == {64}


def test_a_run_in_bfloat16_answers_as_it_was_scored(tiny_config: dict[str, Any]) -> None:
    tiny_config["evaluation"] |= {"baselines": [], "test": False}
    run = fintune.train(tiny_config, ["model.dtype=bfloat16", "train.epochs=1"])
    stored = run.predictions("validation")
    again = load_predictor(run)([p.text for p in stored])
    for one, other in zip(stored, again, strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert open_engine(run, "int8")


def test_casts_in_8_bits_are_not_told_at_every_product(tiny_causal: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = load_model(str(tiny_causal), quantization="int8", device="cpu")
    with torch.inference_mode():
        loaded.model(torch.tensor([[257, 65, 66]]))
    assert [r.getMessage() for r in caplog.records if "MatMul8bitLt" in r.getMessage()] == []

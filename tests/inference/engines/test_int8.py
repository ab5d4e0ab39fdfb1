"""Integer products are near the real ones; an engine that answers otherwise than the run is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fintune
from fintune.errors import ModelError, UsageError
from fintune.inference.engines.int8 import Int8Linear, quantize
from fintune.inference.engines.registry import ENGINES
from fintune.inference.open import open_engine
from fintune.inference.predictor import load
from fintune.models import load_model
from fintune.runs.run import Run
from fintune.runtime.threads import int8_gain
from tests.families import save
from tests.tiny import config_for


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def run(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = request.getfixturevalue(f"tiny_{request.param}")
    return fintune.train(config_for(model, rows_file, tmp_path_factory.mktemp("int8")))


def test_a_layer_is_near_and_outliers_do_not_drown_the_rest() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32)
    x = torch.randn(50, 64) * torch.cat([torch.full((2,), 80.0), torch.ones(62)])
    exact = linear(x).detach()
    smooth = Int8Linear(linear, x.abs().amax(dim=0))(x)
    rough = Int8Linear(linear, torch.ones(64))(x)
    error, worse = (float((found - exact).pow(2).mean() / exact.pow(2).mean()) for found in (smooth, rough))
    assert error < 1e-3
    assert error < worse / 2
    one = Int8Linear(linear, x.abs().amax(dim=0))(x[3:4].view(1, 1, 64))
    torch.testing.assert_close(one.view(-1), smooth[3])


def test_the_layers_of_the_blocks_are_replaced_and_no_others(tiny_model: Path) -> None:
    loaded = load_model(str(tiny_model), device="cpu")
    ids = torch.tensor([[257, 65, 66]])
    given = {"input_ids": ids} | ({"decoder_input_ids": ids[:, :1]} if loaded.kind == "seq2seq" else {})
    linear = sum(type(m) is torch.nn.Linear for m in loaded.model.modules())
    changed = quantize(loaded.model, lambda: loaded.model(**given))
    assert changed == sum(isinstance(m, Int8Linear) for m in loaded.model.modules()) == linear - 1
    assert type(loaded.model.get_output_embeddings()) is torch.nn.Linear


def test_a_layer_with_an_adapter_hooked_to_it_stays(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    kept = loaded.model.model.layers[0].mlp.down_proj
    kept.register_forward_hook(lambda module, args, output: output + 1)
    quantize(loaded.model, lambda: loaded.model(input_ids=torch.tensor([[257, 65, 66]])))
    assert loaded.model.model.layers[0].mlp.down_proj is kept


def found_of(comparisons: Path) -> list[dict[str, Any]]:
    """What was found of the engine, the exact model's own comparison aside."""
    kept = json.loads((comparisons / "comparisons.json").read_text())
    return [one for one in kept.values() if one["largest_difference"] > 1e-4]


def test_an_engine_answers_as_the_run_does_and_says_how_nearly(run: Run, own_comparisons: Path) -> None:
    texts = [
        json.loads(line)["fields"]["text"] for line in (run.folder / "predictions.test.jsonl").read_text().splitlines()
    ]
    plain, quick = load(run)(texts), load(run, engine_name="int8")(texts)
    assert np.mean([a.answer == b.answer for a, b in zip(plain, quick, strict=True)]) >= 0.9
    assert any(a.probabilities != b.probabilities for a, b in zip(plain, quick, strict=True))
    [found] = found_of(own_comparisons)
    assert found["texts"] == 9
    assert found["largest_difference"] < 0.2


def test_the_exact_model_stays_as_it_is_and_shares_its_weights(run: Run) -> None:
    both = open_engine(run, "int8")
    quick, exact = both.quick._loaded.model, both.exact._loaded.model  # type: ignore[attr-defined]
    assert any(isinstance(m, Int8Linear) for m in quick.modules())
    assert not any(isinstance(m, Int8Linear) for m in exact.modules())
    assert quick.get_input_embeddings().weight.data_ptr() == exact.get_input_embeddings().weight.data_ptr()


def test_an_engine_that_disagrees_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Int8Linear.forward
    monkeypatch.setattr(Int8Linear, "forward", lambda self, x: -plain(self, x))
    with pytest.raises(ModelError, match=r"of 9 texts get another answer"):
        open_engine(run, "int8")
    with pytest.raises(ModelError, match="get another answer"):
        open_engine(run, "int8")


def test_what_an_older_version_was_found_to_do_is_not_believed(
    run: Run, own_comparisons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_engine(run, "int8")
    place = own_comparisons / "comparisons.json"
    kept = json.loads(place.read_text())
    place.write_text(
        json.dumps({key: one | {"changed": 9 * (one["largest_difference"] > 1e-4)} for key, one in kept.items()})
    )
    with pytest.raises(ModelError, match="9 of 9 texts get another answer"):
        open_engine(run, "int8")
    monkeypatch.setitem(ENGINES, "int8", replace(ENGINES["int8"], version=1000))
    open_engine(run, "int8")
    assert found_of(own_comparisons)[-1] == next(one for one in kept.values() if one["largest_difference"] > 1e-4)


def test_an_unknown_engine_is_named(run: Run) -> None:
    with pytest.raises(UsageError, match="--engine int4: unknown engine"):
        open_engine(run, "int4")
    assert {"torch", "int8"} <= ENGINES.keys()


def test_a_cpu_that_integers_slow_down_is_told_before_weights_load(
    run: Run, monkeypatch: pytest.MonkeyPatch, fin: Any
) -> None:
    monkeypatch.setattr("fintune.inference.engines.registry.int8_gain", lambda: 0.0123)
    monkeypatch.setattr("fintune.inference.open.load_tuned", None)
    found = fin("predict", run.folder, "--engine", "int8", "a text")
    assert found.code == 2
    assert "this CPU multiplies 8-bit integers at 0.012 times the speed of float32" in found.err
    assert "Use --engine torch" in found.err


def test_what_integers_gain_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fintune.runtime.cache.cache_folder", lambda: tmp_path)
    times = iter([0.0, 6.0, 10.0, 13.0, 20.0, 24.0, 30.0, 32.0, 40.0, 44.0, 50.0, 53.0])  # float32 and int8, in turn
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    assert int8_gain() == 2.0  # the best of each: 4 and 2
    assert int8_gain() == 2.0


def test_the_commands_take_an_engine(run: Run, rows_file: Path, tmp_path: Path, fin: Any) -> None:
    before = (run.folder / "scores.json").read_bytes()
    assert fin("evaluate", run.folder, "--engine", "int8").code == 0
    assert fin("predict", run.folder, "--engine", "nope", "a text").code == 2
    out = tmp_path / "out.csv"
    assert fin("predict", run.folder, "--engine", "int8", "--file", rows_file, "--output", out).code == 0
    assert out.read_text().count("\n") == 91
    assert (run.folder / "scores.json").read_bytes() == before


@pytest.mark.parametrize(
    "method",
    [
        {"name": "parallel", "size": 4, "num_virtual_tokens": 2},
        {"name": "houlsby", "size": 4},
        {"name": "prompt", "num_virtual_tokens": 2},
        {"name": "linear-probe"},
    ],
    ids=lambda method: method["name"],
)
def test_a_method_that_cannot_be_merged_is_kept_in_full(
    method: dict[str, Any], tiny_causal: Path, rows_file: Path, tmp_path: Path, own_comparisons: Path
) -> None:
    config = config_for(tiny_causal, rows_file, tmp_path) | {"method": method}
    run = fintune.train(config, ["train.learning_rate=1e-2", "evaluation.baselines=[]", "evaluation.test=false"])
    quick = open_engine(run, "int8").quick._loaded.model  # type: ignore[attr-defined]
    assert any(isinstance(m, Int8Linear) for m in quick.modules())
    for module in quick.modules():
        if hasattr(module, "adapter"):
            assert [type(m) for m in module.adapter][::2] == [torch.nn.Linear, torch.nn.Linear]
    assert found_of(own_comparisons)[0]["largest_difference"] < 0.2


def test_a_base_in_fewer_bits_is_refused(tmp_path: Path, rows_file: Path) -> None:
    model = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    config = config_for(model, rows_file, tmp_path)
    run = fintune.train(config, ["model.quantization=nf4", "train.epochs=1", "evaluation.baselines=[]"])
    with pytest.raises(ModelError, match="--engine int8: the run's base model is held in fewer bits already"):
        open_engine(run, "int8")
    assert load(run)(["Alvex +"])[0].answer

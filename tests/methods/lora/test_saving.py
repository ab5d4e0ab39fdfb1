"""Every start of LoRA comes back from the file it was saved to, on an untouched base model; the file is the same each time."""

import json
from pathlib import Path

import pytest
from peft import PeftModel

import fintune
from fintune.evaluation.score import score_part
from fintune.methods.lora.lora import LoraOptions, attach
from fintune.methods.peft_format import save
from fintune.models import load_model
from tests.methods.lora.test_initializations import NO_EFFECT_AT_FIRST, SAVED_AS_DIFFERENCE, TAKES_FROM_BASE
from tests.methods.starting import assert_trains_and_comes_back, layers, started
from tests.tiny import config_for


@pytest.mark.parametrize("init", [False, "orthogonal", *NO_EFFECT_AT_FIRST])
def test_a_trained_start_comes_back(tiny_model: Path, tmp_path: Path, init: bool | str) -> None:
    assert_trains_and_comes_back(tiny_model, tmp_path, init_lora_weights=init)


@pytest.mark.parametrize("init", SAVED_AS_DIFFERENCE)
@pytest.mark.parametrize("apart", ["scales", "dora"])
def test_a_difference_to_the_start_keeps_every_scale(tiny_model: Path, tmp_path: Path, init: str, apart: str) -> None:
    q, o = ("q_proj", "o_proj") if tiny_model.name == "causal" else ("q", "o")
    scales = {"use_rslora": True, "rank_pattern": {o: 2}, "alpha_pattern": {q: 3}}
    options = scales if apart == "scales" else {"use_dora": True}
    assert_trains_and_comes_back(tiny_model, tmp_path, init_lora_weights=init, **options)


@pytest.mark.parametrize("init", SAVED_AS_DIFFERENCE)
def test_a_difference_is_a_plain_lora_of_twice_the_rank(tiny_causal: Path, tmp_path: Path, init: str) -> None:
    tuned = started(tiny_causal, init_lora_weights=init, lora_alpha=8)
    save(tuned.model, tmp_path)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (written["r"], written["lora_alpha"], written["init_lora_weights"]) == (8, 16, True)
    plain = PeftModel.from_pretrained(load_model(str(tiny_causal), device="cpu").model, tmp_path)
    deltas = [m.get_delta_weight("default") for m in plain.modules() if hasattr(m, "get_delta_weight")]
    assert len(deltas) == len(layers(tuned))
    assert max(delta.abs().max().item() for delta in deltas) < 1e-5, "nothing has been learned yet"
    assert tuned.model.peft_config["default"].r == 4, "saving leaves the model as it was"


@pytest.mark.parametrize("init", ["mica", "eva", *TAKES_FROM_BASE])
def test_a_run_scores_what_it_judged(tiny_causal: Path, rows_file: Path, tmp_path: Path, init: str) -> None:
    """What was judged in training is what the saved adapter on a clean base model scores, and what zero-shot is without."""
    raw = config_for(tiny_causal, rows_file, tmp_path)
    raw["train"] |= {"epochs": 2, "learning_rate": 1e-2}
    raw["method"] |= {"init_lora_weights": init, "r": 4}
    run = fintune.train(raw)
    written = json.loads((run.adapter / "adapter_config.json").read_text())
    assert written["r"] == (8 if init in SAVED_AS_DIFFERENCE else 4)
    assert bool(written["rank_pattern"]) == (init == "eva"), "the start has looked at the examples"
    best = next(line for line in reversed(run.log()) if line.get("best"))
    stored = run.scores()["validation"]["answer_loss"].value
    assert stored == pytest.approx(best["validation_loss"], abs=1e-4)
    assert score_part(run, "test").scores["answer_loss"].value == pytest.approx(
        run.scores()["test"]["answer_loss"].value, abs=1e-4
    )
    raw["name"], raw["method"] = "plain", {"name": "lora", "r": 1}
    raw["train"] |= {"learning_rate": 0.0, "epochs": 1}
    assert run.baselines()["zero-shot"] == fintune.train(raw).baselines()["zero-shot"]


def test_names_are_written_in_order_whatever_the_order_of_hashes(tiny_causal: Path, tmp_path: Path) -> None:
    names = [f"{n}_proj" for n in ("up", "q", "v", "gate", "k", "down", "o")]
    tuned = started(tiny_causal, target_modules=names, exclude_modules=["o_proj", "down_proj"], trainable_tokens=[7, 3])
    assert isinstance(tuned.model.peft_config["default"].target_modules, set)
    save(tuned.model, tmp_path)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["target_modules"] == sorted(names)
    assert written["exclude_modules"] == ["down_proj", "o_proj"]
    assert written["trainable_token_indices"] == [3, 7]


def test_the_order_of_tokens_is_that_of_their_rows(tiny_causal: Path, tmp_path: Path) -> None:
    base = load_model(str(tiny_causal), device="cpu")
    save(attach(base.model, LoraOptions(trainable_tokens=[7, 3]), "causal"), tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["trainable_token_indices"] == [7, 3]

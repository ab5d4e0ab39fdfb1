"""Every family learns, is saved and loaded, and is scored alike whatever the batch and the padding."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fintune.export.registry import FORMATS
from fintune.inference.engines.shared_prefix import allowed
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.methods.adapter import load_adapter
from fintune.models import load_model
from fintune.models.families import FAMILIES as TABLE
from fintune.models.families import supporting
from fintune.models.formats.gguf_names import ARCHITECTURES
from fintune.records import Prompt
from fintune.training.loop.checkpoints import Checkpoints
from tests.families import FAMILIES, save
from tests.training.loop.test_trainer import adapter, fit, silent, tuned

PROMPTS = [
    Prompt.around("", text, ":")
    for text in ("Alvex of Oslo +", "Bormas of Lima and a longer tail of words -", "Cyrit =")
]
ANSWERS = ["up", "down", "sideways"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {family: save(family, root / family) for family in FAMILIES}


def scores(loaded: Any, **options: Any) -> np.ndarray:
    return TorchEngine(loaded, max_length=96, **options).rank(PROMPTS, ANSWERS).log_probability


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_comes_back(folders: dict[str, Path], tmp_path: Path, family: str) -> None:
    def losses(rate: float, folder: Path | None = None) -> list[float]:
        loaded, lines = tuned(folders[family]), []
        fit(loaded, tmp_path, silent(log=lines.append), n=40, epochs=4, learning_rate=rate)
        if folder is not None:
            loaded.model.save_pretrained(folder)
            again = load_adapter(load_model(str(folders[family]), device="cpu"), folder)
            np.testing.assert_allclose(scores(again), scores(loaded), atol=1e-5)
            assert np.abs(scores(again) - scores(load_model(str(folders[family]), device="cpu"))).max() > 0.1
        return [line["loss"] for line in lines if "loss" in line]

    learned, still = losses(2e-2, tmp_path / "adapter"), losses(0.0)
    assert len(learned) == 20
    assert np.mean(learned[-3:]) < 0.85 * np.mean(learned[:3])
    assert np.mean(still[-3:]) > 0.95 * np.mean(still[:3])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_resumed_to_the_same_parameters(folders: dict[str, Path], tmp_path: Path, family: str) -> None:
    whole, part, rest = (tuned(folders[family], dropout=0.1) for _ in range(3))
    fit(whole, tmp_path / "whole", silent(), epochs=2)
    asked: list[int] = []
    stop = replace(silent(), should_stop=lambda: len(asked) == 4 or asked.append(1) is not None)
    fit(part, tmp_path / "part", stop, epochs=2)
    assert Checkpoints(tmp_path / "part").latest() == tmp_path / "part" / "checkpoint-5"
    fit(rest, tmp_path / "part", silent(), epochs=2, resume=True)
    apart = adapter(part)
    for name, value in adapter(whole).items():
        assert torch.equal(value, adapter(rest)[name]), name
    assert any(not torch.equal(value, apart[name]) for name, value in adapter(whole).items())


def test_the_families_of_the_table_are_those_tried_out_here(folders: dict[str, Path]) -> None:
    tried = {json.loads((folder / "config.json").read_text())["model_type"] for folder in folders.values()}
    assert {family.model_type for family in TABLE} == tried


def test_what_a_family_can_is_read_from_its_entry_alone(folders: dict[str, Path]) -> None:
    """Export formats and engines ask the table; each architecture of llama.cpp it names is one that is known here."""
    assert {name: FORMATS[name].families for name in ("ctranslate2", "gguf", "gguf-lora", "onnx", "merged")} == {
        "ctranslate2": supporting("ctranslate2"),
        "gguf": tuple(ARCHITECTURES),
        "gguf-lora": supporting("gguf"),
        "onnx": supporting("onnx"),
        "merged": (),
    }
    assert {ARCHITECTURES[family.model_type].name for family in TABLE if family.gguf} == {f.gguf for f in TABLE} - {""}
    for family in ("llama", "bloom", "gpt2", "gemma3"):
        model = load_model(str(folders[family]), device="cpu").model
        assert allowed(model, longest=8) == (model.config.model_type in supporting("rotary"))


@pytest.mark.parametrize("family", FAMILIES)
def test_neither_batch_nor_padding_changes_a_score(folders: dict[str, Path], family: str) -> None:
    loaded = load_model(str(folders[family]), device="cpu")
    alone = scores(loaded, batch_size=1)
    for options in ({"batch_size": 3}, {"batch_size": 2, "side": "right"}, {"batch_size": 3, "side": "left"}):
        np.testing.assert_allclose(scores(loaded, **options), alone, atol=1e-4)

"""Every family learns, is saved and loaded, and is scored alike whatever the batch and the padding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fintune.engines.torch_engine import TorchEngine
from fintune.models import load_adapter, load_model
from fintune.records import Prompt
from tests.families import FAMILIES, save
from tests.training.test_trainer import fit, silent, tuned

PROMPTS = [
    Prompt("", text, ":") for text in ("Alvex of Oslo +", "Bormas of Lima and a longer tail of words -", "Cyrit =")
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
def test_neither_batch_nor_padding_changes_a_score(folders: dict[str, Path], family: str) -> None:
    loaded = load_model(str(folders[family]), device="cpu")
    alone = scores(loaded, batch_size=1)
    for options in ({"batch_size": 3}, {"batch_size": 2, "side": "right"}, {"batch_size": 3, "side": "left"}):
        np.testing.assert_allclose(scores(loaded, **options), alone, atol=1e-4)

"""An export is proved to be what was evaluated, or not written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fintune
from fintune.engines.torch_engine import TorchEngine
from fintune.errors import ModelError, RunError
from fintune.exporting import export, merge
from fintune.models import load_model
from fintune.run import Run
from tests.tiny import config_for


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def run(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = request.getfixturevalue(f"tiny_{request.param}")
    return fintune.train(config_for(model, rows_file, tmp_path_factory.mktemp("export 涨")))


def test_a_merged_folder_answers_as_the_run_was_scored(run: Run, tmp_path: Path) -> None:
    made = export(run, "merged", output=tmp_path / "合并 folder")
    assert made.verification.changed == 0
    assert made.verification.largest_difference < 1e-4
    found = json.loads((made.folder / "verification.json").read_text())
    assert found["agreement"] == 1
    assert found["texts"] == 9
    answers = fintune.load(made.folder, task={"name": "sentiment", "labels": ["down", "up"]})
    assert answers

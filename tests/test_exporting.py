"""An export is proved to be what was evaluated, or not written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.errors import ModelError, RunError, UsageError
from fintune.export.registry import FORMATS
from fintune.exporting import export
from fintune.models import load_model
from fintune.run import Run
from tests.families import save
from tests.tiny import config_for, unigram_tokenizer

FAMILIES = ["llama", "qwen2", "qwen3", "gemma3", "gpt2", "flan-t5", "mt5", "t5gemma2"]


def trained(family: str, rows: Path, folder: Path, *more: str, **method: Any) -> Run:
    model = save(family, folder / "model 模")
    if family in ("flan-t5", "mt5"):
        unigram_tokenizer().save_pretrained(model)
    config = config_for(model, rows, folder / "runs 跑") | {"method": {"name": "lora", "r": 2} | method}
    return fintune.train(
        config, ["train.learning_rate=3e-3", "evaluation.baselines=[]", "evaluation.test=false", *more]
    )


@pytest.fixture(scope="module", params=FAMILIES)
def run(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(request.param, rows_file, tmp_path_factory.mktemp("export"))


@pytest.mark.parametrize(("name", "dtype"), [(f.name, dtype) for f in FORMATS.values() for dtype in f.dtypes])
def test_every_format_answers_as_the_run_was_scored(name: str, dtype: str, run: Run, tmp_path: Path) -> None:
    base = load_model(run.config().model.base, device="cpu")
    if (family := base.model.config.model_type) not in (FORMATS[name].families or (family,)):
        with pytest.raises(ModelError, match=f"--format {name}: is for .*, and this model is {family}"):
            export(run, name, dtype=dtype, output=tmp_path / "none")
        assert not (tmp_path / "none").exists()
        return
    made = export(run, name, dtype=dtype, output=tmp_path / "合并 folder")
    written = json.loads((made.folder / "verification.json").read_text())
    assert written["texts"] == 9
    assert written["changed"] <= (dtype == "q8_0")
    assert written["largest_difference"] < {"float32": 1e-4, "q8_0": 0.1}.get(dtype, 1e-2)
    card = (made.folder / "README.md").read_text()
    assert written["sha256"] in card
    assert f"{9 - written['changed']} of the 9 validation texts" in card
    again = FORMATS[name].read(made.folder, base)
    own, theirs = again.model.state_dict(), base.model.state_dict()
    assert own.keys() == theirs.keys()
    assert any(not torch.equal(own[n], theirs[n]) for n in own)

"""Damaged, foreign or newer adapters of our own format are named in two lines, whatever is wrong with them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import ModelError
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.methods.fintune_format import SETTINGS, WEIGHTS
from fintune.models import load_model
from tests.methods.test_every_method import attached
from tests.tiny import config_for


@pytest.fixture
def adapter(tiny_causal: Path, tmp_path: Path) -> Path:
    METHODS["houlsby"].save(attached("houlsby", tiny_causal, size=4).model, tmp_path / "adapter")
    return tmp_path / "adapter"


def settings(**changed: Any) -> str:
    whole = {"version": 1, "method": "houlsby", "options": {"name": "houlsby", "size": 4}}
    return json.dumps(whole | changed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged: "),
        ("[1]", "damaged: "),
        ('{"version": 1}', "damaged: no 'method'"),
        (settings(version=2), "of version 2, and this FinTune reads 1"),
        (settings(method=["houlsby"]), "damaged: method is no name"),
        (settings(method="nosuch"), "of method 'nosuch', which is not there"),
        (settings(options=[]), "options are no settings"),
        (settings(options={"name": "houlsby", "size": "many"}), r"options\.size: Input should be a valid integer"),
        (settings(options={"name": "houlsby", "width": 4}), r"options\.width: Extra inputs are not permitted"),
        (settings(options={"name": "houlsby", "size": 8}), "does not fit base model"),
        (settings(method="pfeiffer", options={"name": "pfeiffer", "size": 4}), "does not fit base model"),
    ],
)
def test_settings_that_are_wrong_are_named(adapter: Path, tiny_causal: Path, content: str, message: str) -> None:
    (adapter / SETTINGS).write_text(content)
    with pytest.raises(ModelError, match=message):
        load_adapter(load_model(str(tiny_causal), device="cpu"), adapter)


def test_truncated_and_missing_weights_are_named(adapter: Path, tiny_causal: Path) -> None:
    file = adapter / WEIGHTS
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ModelError, match=f"{WEIGHTS}: damaged"):
        load_adapter(load_model(str(tiny_causal), device="cpu"), adapter)
    file.unlink()
    with pytest.raises(ModelError, match=f"no {WEIGHTS}"):
        load_adapter(load_model(str(tiny_causal), device="cpu"), adapter)


def test_an_adapter_of_another_base_is_refused(adapter: Path, tiny_seq2seq: Path) -> None:
    with pytest.raises(ModelError, match=r"does not fit base model .*: decoder\S+ is absent there"):
        load_adapter(load_model(str(tiny_seq2seq), device="cpu"), adapter)


def test_a_run_takes_no_adapter_of_another_method(
    trained: fintune.Run, adapter: Path, rows_file: Path, tiny_causal: Path, tmp_path: Path, fin: Any
) -> None:
    lora = Path(shutil.copytree(trained.folder, tmp_path / "lora"))
    config = config_for(tiny_causal, rows_file, tmp_path) | {"method": {"name": "prompt", "num_virtual_tokens": 2}}
    prompt = fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "evaluation.test=false"])
    (prompt.adapter / SETTINGS).rename(tmp_path / SETTINGS)
    found = fin("predict", prompt.folder, "a text")  # PEFT could read the rest, and would give other scores
    assert found.code == 2
    assert f"{SETTINGS}: is missing" in found.err
    shutil.rmtree(prompt.adapter)
    shutil.copytree(adapter, prompt.adapter)
    shutil.rmtree(lora / "adapter")
    shutil.copytree(adapter, lora / "adapter")
    for folder in (prompt.folder, lora):
        refused = fin("predict", folder, "a text")
        assert (refused.code, "score the run as it is now" in refused.err) == (2, True), refused.err

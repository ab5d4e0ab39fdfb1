"""Any path says what it is; none is loaded."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import FintuneError, ModelError
from fintune.export.export import export
from fintune.runs.inspect_path import inspect
from fintune.runs.run import Run
from tests.families import save
from tests.tiny import config_for


@pytest.fixture(scope="module")
def run(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("inspect 看")
    config = config_for(save("llama", folder / "model"), rows_file, folder) | {"method": {"name": "lora", "r": 3}}
    run = fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "data.license=CC BY-NC-SA 3.0"])
    for name, dtype in {"merged": None, "gguf": "q8_0", "ctranslate2": "int8", "state-dict": None}.items():
        export(run, name, dtype=dtype, allow_loss=True)
    return run


def test_a_run_says_method_base_data_and_license(run: Run, fin: Any) -> None:
    found = json.loads(fin("inspect", run.folder, "--json").out)
    assert (found["kind"], found["method"], found["adapter_rank"]) == ("run", "lora", 3)
    assert found["data_fingerprint"] == run.data()["fingerprint"]
    assert (found["data_licenses"], found["commercial_use"]) == (["CC BY-NC-SA 3.0"], "forbids")
    assert found["exports"] == ["ctranslate2-int8", "gguf-q8_0", "merged", "state-dict"]
    shown = fin("inspect", run.folder).out
    assert "CC BY-NC-SA 3.0" in shown
    assert "Not for commercial use" in (run.folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["merged", "gguf-q8_0", "ctranslate2-int8", "state-dict"])
def test_an_export_says_how_it_was_proved(name: str, run: Run) -> None:
    place = run.folder / "exports" / name
    found = inspect(place)
    record = json.loads((place / "verification.json").read_text())
    assert found["kind"] == "export"
    assert found["texts"] == record["texts"] == 9
    assert found["files"] == record["files"]
    assert (found["method"], found["rank"], found["licenses"]) == ("lora", 3, ["CC BY-NC-SA 3.0"])
    assert found["commercial_use"] == "forbids"
    card = (place / "README.md").read_text()
    assert "**Not for commercial use**: trained on rows.jsonl (CC BY-NC-SA 3.0)" in card


def test_adapters_models_and_files_of_others(run: Run, tmp_path: Path) -> None:
    adapter = inspect(run.adapter)
    assert (adapter["kind"], adapter["method"], adapter["rank"]) == ("adapter", "lora", 3)
    model = inspect(run.config().model.base)
    assert (model["kind"], model["model_type"], model["blocks"]) == ("model folder", "llama", 2)
    assert model["parameters"] == inspect(run.folder / "exports" / "gguf-q8_0" / "model.gguf")["parameters"]
    gguf = inspect(run.folder / "exports" / "gguf-q8_0" / "model.gguf")
    assert (gguf["architecture"], gguf["settings"]["llama.block_count"]) == ("llama", 2)
    shutil.copytree(run.folder / "exports" / "ctranslate2-int8", tmp_path / "ct2")
    for name in ("verification.json", "fintune.yaml"):
        (tmp_path / "ct2" / name).unlink()
    assert inspect(tmp_path / "ct2")["kind"] == "CTranslate2 folder"


def test_what_is_damaged_or_nothing_is_named(run: Run, tmp_path: Path, fin: Any) -> None:
    with pytest.raises(ModelError, match="nothing there"):
        inspect(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="neither run"):
        inspect(tmp_path / "empty")
    file = tmp_path / "bad.gguf"
    file.write_bytes((run.folder / "exports" / "gguf-q8_0" / "model.gguf").read_bytes()[:3000])
    with pytest.raises(ModelError, match=r"bad\.gguf: damaged"):
        inspect(file)
    adapter = Path(shutil.copytree(run.adapter, tmp_path / "adapter"))
    (adapter / "adapter_model.safetensors").write_bytes(pickle.dumps({"weights": [1]}))
    with pytest.raises(FintuneError, match=r"adapter_model\.safetensors: damaged"):
        inspect(adapter)
    assert fin("inspect", adapter).code == 2

"""Several adapters become one, which answers as they did together."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file

import fintune
from fintune.errors import ModelError, UsageError
from fintune.export.combine import export_combined
from fintune.export.names import How
from fintune.models import load_model
from fintune.runs.run import Run
from tests.families import save
from tests.tiny import config_for


@pytest.fixture(scope="module")
def runs(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("several")
    config = config_for(save("llama", folder / "model"), rows_file, folder)
    more = ["evaluation.baselines=[]", "evaluation.test=false", "method.lora_alpha=8"]
    return [
        fintune.train(
            config, [*more, f"train.seed={i}", f"name=run{i}", f"method.r={2 + 2 * i}", "train.learning_rate=3e-3"]
        )
        for i in range(2)
    ]


def test_cat_is_the_weighted_sum_of_the_updates(runs: list[Run], tmp_path: Path) -> None:
    made = export_combined([run.folder for run in runs], [0.7, 0.2], "cat", output=tmp_path / "both")
    assert made.verification.changed == 0
    name = "model.layers.1.mlp.up_proj"
    base = load_model(runs[0].config().model.base, device="cpu").model.state_dict()[f"{name}.weight"]
    wanted = base.clone()
    for run, weight in zip(runs, [0.7, 0.2], strict=True):
        own = load_file(run.adapter / "adapter_model.safetensors")
        a, b = (own[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
        wanted += weight * (8 / len(a)) * b @ a
    found = load_model(str(made.folder), device="cpu").model.state_dict()[f"{name}.weight"]
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_what_was_combined_is_asked_and_scored_by_its_folder(
    runs: list[Run], rows_file: Path, tmp_path: Path, fin: Any
) -> None:
    both = export_combined([run.folder for run in runs], [0.7, 0.2], "cat", output=tmp_path / "both").folder
    texts = [p.text for p in runs[0].predictions("validation")]
    wanted = fintune.load(both)(texts)
    rows = [json.loads(line) for line in fin("predict", both, *texts, "--json").out.splitlines()]
    assert [row["label"] for row in rows] == [p.answer for p in wanted]
    scores = json.loads(fin("evaluate", both, "--data", rows_file, "--json").out)
    assert scores["accuracy"]["n"] == 90
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    assert fin("predict", both, "--file", tmp_path / "texts.txt", "--output", tmp_path / "out.jsonl").code == 0
    written = [json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == [p.answer for p in wanted]
    refused = [fin("evaluate", both), fin("predict", both, "a", "--engine", "int8"), fin("explain", both)]
    assert [one.code for one in refused] == [2, 2, 2]
    assert "an export, and no answers in it" in refused[2].err
    assert "--data FILE" in refused[0].err
    assert "Leave --engine out" in refused[1].err
    assert fin("explain", both, texts[0]).code == 0


@pytest.mark.parametrize("how", [how for how in get_args(How) if how != "cat"])
def test_every_combination_is_proved_or_refused_with_the_reason(how: str, runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"--combine {how}: "):  # they add factors, which must be of one rank
        export_combined([run.folder for run in runs], [1, 1], how, output=tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    again = [runs[0].folder, runs[0].folder]
    made = export_combined(again, [0.5, 0.5], how, density=0.8, output=tmp_path / "both")
    assert made.verification.changed == 0
    assert made.verification.largest_difference < 1e-4


def test_what_does_not_go_together_is_told(runs: list[Run], rows_file: Path, tmp_path: Path, fin: Any) -> None:
    folders = [run.folder for run in runs]
    shown = fin("merge", *folders, "-o", tmp_path / "both", "--weights", "1,0")
    assert shown.code == 0
    assert "of 9" in shown.out
    for flags, message in {
        ("--combine", "tiess"): "--combine tiess: unknown",
        ("--weights", "1"): "--weights: 1 for 2 runs",
        ("--weights", "a,b"): "--weights a,b: not numbers",
        ("--density", "0"): "--density 0: must be above 0",
        ("--weights", "0,0"): "--weights 0.0,0.0: nothing to add",
        ("--weights", "nan,1"): "--weights nan,1.0: each must be a number from",
        ("--weights", "1e308,1"): "each must be a number from -1000 to 1000",
    }.items():
        refused = fin("merge", *folders, "-o", tmp_path / "x", *flags)
        assert (refused.code, message in refused.err) == (2, True), refused.err
    assert "--output: is needed" in fin("merge", *folders).err
    config = config_for(save("llama", tmp_path / "model", num_hidden_layers=1), rows_file, tmp_path)
    other = fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "method.r=2"])
    with pytest.raises(ModelError, match="of another base model"):
        export_combined([folders[0], other.folder], [1, 1], "cat", output=tmp_path / "x")
    with pytest.raises(UsageError):
        export_combined(folders[:1], [1], "cat", output=tmp_path / "x")


def test_adapters_of_other_layers_are_refused(runs: list[Run], tmp_path: Path) -> None:
    more = ["evaluation.baselines=[]", "evaluation.test=false", f"output={tmp_path}", "method.target_modules=[q_proj]"]
    below = fintune.train(runs[0].config(), [*more, "name=below", "method.layers=[0]"])
    whole = fintune.train(runs[0].config(), [*more, "name=whole"])
    with pytest.raises(ModelError, match=r"model\.layers\.1\..*: not every adapter is on this layer"):
        export_combined([below.folder, whole.folder], [1, 1], "cat", output=tmp_path / "both")
    assert not (tmp_path / "both").exists()

"""A calibration goes with an export, is proved with its files, and gives the run's own numbers."""

import shutil
from pathlib import Path

import pytest

import fintune
from fintune.errors import ModelError, RunError, UsageError
from fintune.evaluation.calibrate import CalibrationOptions, calibrate
from fintune.export.export import _finished, export
from fintune.export.registry import FORMATS
from tests.inference.calibration.draws import answers_drawn

TEXTS = ["Alvex of Oslo and Lima +", "Bortun of Turin and Lima -"]


@pytest.fixture
def calibrated(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    run = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    run.write_predictions("oof", answers_drawn(900))
    calibrate(run)
    return run


@pytest.mark.parametrize("form", ["merged", "onnx"])
def test_an_export_gives_the_calibrated_numbers_of_its_run(
    calibrated: fintune.Run, trained: fintune.Run, form: str, tmp_path: Path
) -> None:
    exported = export(calibrated, form, output=tmp_path / "elsewhere")
    shutil.rmtree(calibrated.folder / "exports", ignore_errors=True)
    raw, of_run = fintune.load(trained.folder)(TEXTS), fintune.load(calibrated.folder)(TEXTS)
    answers = fintune.load(exported.folder)(TEXTS)
    for one, same, other in zip(answers, of_run, raw, strict=True):
        assert one.probabilities == pytest.approx(same.probabilities, abs=1e-5)
        assert one.labels == same.labels
        assert one.confidence != pytest.approx(other.confidence, abs=1e-3)


def test_what_it_is_worth_in_the_export_is_measured_there(calibrated: fintune.Run) -> None:
    facts = export(calibrated, "merged", dtype="bfloat16").facts
    kept = facts["confidence"]
    assert kept is not None
    assert kept["nll"] == pytest.approx(kept["nll_of_run"], abs=0.05)
    assert kept["nll"] != kept["nll_of_run"], "rounded weights have other probabilities"
    card = (calibrated.folder / "exports" / "merged-bfloat16" / "README.md").read_text(encoding="utf-8")
    assert f"{kept['nll']:.3f}" in card
    assert f"{kept['ece_of_run']:.3f}" in card


def test_without_a_calibration_there_is_none_and_none_is_claimed(trained: fintune.Run, tmp_path: Path) -> None:
    exported = export(trained, "merged", output=tmp_path / "plain")
    assert exported.facts["confidence"] is None
    assert not (exported.folder / "calibration.json").exists()
    with pytest.raises(UsageError, match="is an export without a calibration") as refused:
        fintune.load(exported.folder, max_error=0.05)
    assert refused.value.hint is not None
    assert "export again" in refused.value.hint


def test_another_calibration_makes_an_export_one_to_be_made_again(calibrated: fintune.Run) -> None:
    export(calibrated, "merged")
    assert _finished(calibrated, FORMATS["merged"], "float32", overwrite=False) is not None
    calibrate(calibrated, CalibrationOptions(scaling="vector"))
    assert _finished(calibrated, FORMATS["merged"], "float32", overwrite=False) is None


def test_a_calibration_put_in_or_changed_afterwards_is_refused(
    calibrated: fintune.Run, trained: fintune.Run, tmp_path: Path
) -> None:
    exported = export(calibrated, "merged", output=tmp_path / "a").folder
    stored = (exported / "calibration.json").read_text(encoding="utf-8")
    plain = export(trained, "merged", output=tmp_path / "b").folder
    (plain / "calibration.json").write_text(stored, encoding="utf-8")
    (exported / "calibration.json").write_text(stored.replace('"coverage": 0.95', '"coverage": 0.99'), encoding="utf-8")
    for folder in (exported, plain):
        with pytest.raises(ModelError, match="proved"):
            fintune.load(folder)
    (plain / "calibration.json").write_text(
        stored.replace('adapter_sha256": "', 'adapter_sha256": "0'), encoding="utf-8"
    )
    with pytest.raises(RunError, match="another model"):
        fintune.load(plain)

"""A calibrated run's page: what may be relied on in sentences, reliability after it, errors by coverage."""

import json
import shutil
from pathlib import Path

import pytest

import fintune
from fintune.evaluation.calibrate import calibrate
from fintune.report.calibration_view import calibration_view
from fintune.report.confidence_charts import calibrated, reliability, risk_coverage
from fintune.report.reading import read_run
from fintune.report.words import Translator
from tests.inference.calibration.draws import answers_drawn


@pytest.fixture
def run(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    copy = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    copy.write_predictions("oof", answers_drawn(3000, temperature=1.5, spread=6.0))
    copy.write_predictions("test", answers_drawn(400, temperature=1.5, spread=6.0, seed=9))
    calibrate(copy)
    return copy


def test_sentences_say_what_calibration_json_holds(run: fintune.Run) -> None:
    record = json.loads((run.folder / "calibration.json").read_text(encoding="utf-8"))
    page = " ".join(map(str, calibration_view(read_run(run.folder))))
    assert "Rests on 3,000 texts" in page
    assert "3,000 条文本（折外预测）" in page
    for one in record["thresholds"]:
        assert f"erred in {one['errors']:,} of {one['accepted']:,} answers" in page
    assert f"{record['calibrated']['ece']['value']:.3f}" in page


def test_the_curve_holds_what_passes_each_threshold(run: fintune.Run) -> None:
    files, t = read_run(run.folder), Translator("en")
    assert files.calibration is not None
    spec = risk_coverage(files, t)
    assert spec is not None
    points = spec["layer"][1]["data"]["values"]
    passed = [[p for p in files.sure if p.confidence >= one.confidence] for one in files.calibration.thresholds]
    assert [point["coverage"] for point in points] == [len(ones) / len(files.sure) for ones in passed]
    assert [point["errors"] for point in points] == [sum(not p.right for p in ones) / len(ones) for ones in passed]
    assert calibrated(files, t) != reliability(files, t)


def test_without_one_nothing_is_promised_and_a_damaged_one_is_named(run: fintune.Run) -> None:
    (run.folder / "calibration.json").write_text("{")
    files = read_run(run.folder)
    assert (files.calibration, files.missing) == (None, ["calibration.json"])
    (run.folder / "calibration.json").unlink()
    files = read_run(run.folder)
    assert (files.missing, calibration_view(files)) == ([], [])
    assert (calibrated(files, Translator("en")), risk_coverage(files, Translator("en"))) == (None, None)


def test_nothing_is_shown_of_rows_that_a_map_may_be_fitted_on(run: fintune.Run) -> None:
    assert read_run(run.folder).sure
    (run.folder / "predictions.test.jsonl").unlink()
    scores = json.loads((run.folder / "scores.json").read_text(encoding="utf-8"))
    del scores["splits"]["test"]
    (run.folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    files = read_run(run.folder)
    assert (files.part, files.sure) == ("validation", [])

"""A run's confidences corrected on rows it has not learned from, stored, and applied by whatever answers for it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fintune
from fintune.errors import DataError, RunError, UsageError
from fintune.evaluation.calibrate import CalibrationOptions, calibrate, fit
from fintune.inference.calibration.record import Calibration, of_run
from fintune.inference.calibration.rules import SureEnough
from fintune.inference.calibration.words import sentences
from fintune.inference.explain import explain
from tests.inference.calibration.draws import answers_drawn
from tests.tiny import LABELS


@pytest.fixture
def run(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    """A run with 900 answers out of fold."""
    copy = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    copy.write_predictions("oof", answers_drawn(900))
    return copy


def test_what_is_stored_corrects_the_probabilities_and_says_on_what_it_rests(run: fintune.Run) -> None:
    calibration = calibrate(run)
    assert of_run(run) == calibration
    assert (calibration.rows.part, calibration.rows.texts) == ("oof", 900)
    assert calibration.calibrated["nll"]["value"] < calibration.raw["nll"]["value"]
    assert calibration.calibrated["ece"]["value"] < calibration.raw["ece"]["value"] / 2
    assert "900 texts that the model had not learned from" in sentences(calibration)[0]


def test_what_the_rows_were_fitted_on_is_not_what_is_claimed(run: fintune.Run) -> None:
    noise = [replace(one, gold=LABELS[i * 7919 % 3]) for i, one in enumerate(answers_drawn(120, seed=1))]
    fitted = fit(noise, run.config().build_task(), "oof", run, CalibrationOptions(scaling="isotonic"))
    assert fitted.calibrated["nll"]["value"] == pytest.approx(fitted.losses["isotonic"])
    raw = np.array([[one.probabilities[name] for name in LABELS] for one in noise])
    own = fitted.probabilities(raw)[np.arange(120), [LABELS.index(str(one.gold)) for one in noise]]
    assert fitted.losses["isotonic"] > -np.log(own).mean()


def test_validation_is_used_where_nothing_was_folded_and_few_rows_are_refused(trained: fintune.Run) -> None:
    with pytest.raises(DataError, match=r"validation: 9 rows to calibrate on, and 50 are the least"):
        calibrate(trained)
    assert not (trained.folder / "calibration.json").exists()


def test_a_label_without_rows_is_refused(run: fintune.Run) -> None:
    run.write_predictions("oof", [one for one in answers_drawn(300) if one.gold != "neutral"])
    with pytest.raises(DataError, match="no row of label 'neutral'"):
        calibrate(run)


def test_a_calibration_of_another_adapter_or_a_damaged_one_is_refused(run: fintune.Run) -> None:
    path = run.folder / "calibration.json"
    calibrate(run)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"model": content["model"] | {"adapter_sha256": "0" * 64}}))
    with pytest.raises(RunError, match="made for another model"):
        of_run(run)
    path.write_text(json.dumps(content | {"scaling": {"name": "temperature", "temperature": -1.0}}))
    with pytest.raises(RunError, match="damaged: scaling"):
        of_run(run)


@pytest.mark.parametrize("name", ["none", "temperature", "vector", "isotonic"])
def test_one_number_wherever_the_runanswers_drawn(run: fintune.Run, name: str) -> None:
    raw = fintune.load(run.folder)(["Alvex of Oslo and Lima +", "Bortun of Turin and Lima -"])
    calibration = calibrate(run, CalibrationOptions(scaling=name))
    answers = fintune.load(run.folder)([one.text for one in raw])
    assert answers == calibration.applied(raw, run.config().build_task())
    moved = max(abs(a.confidence - b.confidence) for a, b in zip(answers, raw, strict=True))
    assert moved == 0 if name == "none" else moved > 0
    assert all(one.answer in one.labels for one in answers)


def test_explain_says_the_same_number(run: fintune.Run) -> None:
    text = "Alvex of Oslo and Lima +"
    before = explain(run, [text])[0]
    calibrate(run)
    after = explain(run, [text])[0]
    assert after.probability == fintune.load(run.folder)([text])[0].confidence != before.probability
    assert [word.effect for word in after.words] != [word.effect for word in before.words]


def test_answers_below_the_threshold_abstain_and_keep_their_label(run: fintune.Run) -> None:
    run.write_predictions("oof", answers_drawn(3000, temperature=1.0, spread=6.0))
    calibration = calibrate(run, CalibrationOptions(max_errors=[0.03]))
    threshold = calibration.threshold(0.03, run.folder)
    stored = run.predictions("oof")
    applied = calibration.applied(stored, run.config().build_task(), SureEnough(threshold))
    kept = [one for one in applied if not one.abstain]
    assert all((one.confidence >= threshold) is (one.abstain is False) for one in applied)
    assert 0 < len(kept) < len(applied)
    assert sum(not one.right for one in kept) / len(kept) <= 0.03
    assert [one.answer for one in applied] == [one.answer for one in stored]


def test_what_was_not_shown_is_refused_with_what_it_would_take(run: fintune.Run) -> None:
    calibration: Calibration = calibrate(run)
    with pytest.raises(UsageError, match=r"900 rows do not show so few errors") as refused:
        calibration.threshold(0.005, "First: fintune calibrate x")
    assert "598" in str(refused.value.hint)
    with pytest.raises(UsageError, match=r"not calibrated for it") as other:
        calibration.threshold(0.123, "First: fintune calibrate x")
    assert other.value.hint == "First: fintune calibrate x (with --max-error 12.3%)"


def test_predict_marks_rows_and_drops_none(run: fintune.Run, fin: Any, tmp_path: Path) -> None:
    run.write_predictions("oof", answers_drawn(3000, temperature=1.0, spread=6.0))
    done = fin("calibrate", run.folder, "--max-error", "3%")
    assert done.code == 0
    assert "with 95% confidence it errs there in at most 3 %" in done.out
    texts = tmp_path / "texts.csv"
    texts.write_text("text\nAlvex of Oslo and Lima +\nwhat is this\n")
    output = tmp_path / "answers.csv"
    assert fin("predict", run.folder, "--file", texts, "--output", output, "--max-error", "3%").code == 0
    header, *rows = output.read_text().splitlines()
    assert header.split(",")[:5] == ["id", "label", "confidence", "abstain", "set"]
    assert {row.split(",")[3] for row in rows} <= {"true", "false"}
    assert len(rows) == 2
    refused = fin("predict", run.folder, "x", "--max-error", "0.1%")
    assert (refused.code, "not calibrated for it" in refused.err) == (2, True)
    assert fin("predict", run.folder, "x", "--max-error", "2").code == 2


def test_the_answer_is_what_costs_least(run: fintune.Run, fin: Any, tmp_path: Path) -> None:
    calibrate(run)
    costs = tmp_path / "costs.yaml"
    row = dict.fromkeys(LABELS, 1)
    dear = {name: {**row, LABELS[0]: 0, "abstain": 100} for name in LABELS}
    costs.write_text(json.dumps(dear))
    answers = fin(
        "predict", run.folder, "Alvex of Oslo and Lima +", "Alvex of Oslo and Lima -", "--costs", costs, "--json"
    )
    lines = [json.loads(line) for line in answers.out.splitlines()]
    assert [line["label"] for line in lines] == [LABELS[0]] * 2, "it costs nothing, whatever is right"
    assert [line["abstain"] for line in lines] == [False, False]
    assert lines[0]["confidence"] == pytest.approx(lines[0]["probabilities"][LABELS[0]])
    costs.write_text(json.dumps({LABELS[0]: {}}))
    refused = fin("predict", run.folder, "x", "--costs", costs)
    assert (refused.code, f"costs: none for {LABELS[1]}" in refused.err) == (2, True)
    assert "Give one of them" in fin("predict", run.folder, "x", "--costs", costs, "--max-error", "5%").err


def test_a_run_without_calibration_says_what_to_type(trained: fintune.Run, fin: Any) -> None:
    refused = fin("predict", trained.folder, "x", "--max-error", "1%")
    assert refused.code == 2
    assert "without a calibration" in refused.err
    assert f"fintune calibrate {trained.folder}" in refused.err

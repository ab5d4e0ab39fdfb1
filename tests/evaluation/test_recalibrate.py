"""Another source: a calibration fitted again on some of its rows, and what that gains on the others."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import DataError, UsageError
from fintune.evaluation.calibrate import calibrate
from fintune.evaluation.recalibrate import recalibrate
from fintune.inference.calibration.record import of_run
from tests.inference.calibration.draws import answers_drawn, distinct


@pytest.fixture
def run(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    copy = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    copy.write_predictions("oof", answers_drawn(900, temperature=1.0))
    calibrate(copy)
    return copy


def test_it_is_fitted_on_some_rows_and_worth_something_on_the_others(run: fintune.Run) -> None:
    again = recalibrate(run, "posts.csv", answers_drawn(800, temperature=4.0, seed=5), rows=200)
    assert (again.calibration.rows.part, again.calibration.rows.texts, again.left) == ("posts.csv", 200, 600)
    assert again.gains["nll"].low > 0, "surer than it should be there, which a temperature mends"
    assert again.gains["nll"].value == pytest.approx(again.before["nll"].value - again.after["nll"].value)
    assert again.after["ece"].value < again.before["ece"].value
    assert of_run(run) == again.calibration


def test_it_gains_nothing_where_nothing_is_wrong(run: fintune.Run) -> None:
    gain = recalibrate(run, "same.csv", answers_drawn(800, temperature=1.0, seed=6), rows=300).gains["nll"]
    assert gain.low < 0 < gain.high or gain.value == 0


def test_rows_that_the_run_learned_from_are_left_out(run: fintune.Run) -> None:
    answers = answers_drawn(300, seed=7)
    known = run.predictions("validation")[0].fields
    mixed = [replace(one, fields=known) if i < 40 else one for i, one in enumerate(answers)]
    again = recalibrate(run, "mixed.csv", mixed, rows=100)
    assert (again.known, again.calibration.rows.texts + again.left) == (40, 260)


@pytest.mark.parametrize(
    ("n", "rows", "said"), [(99, None, "99 rows"), (300, 49, "--rows 49"), (300, 251, "--rows 251")]
)
def test_too_few_rows_are_refused_and_nothing_is_written(run: fintune.Run, n: int, rows: int | None, said: str) -> None:
    before = of_run(run)
    with pytest.raises((DataError, UsageError), match=said):
        recalibrate(run, "few.csv", answers_drawn(n, seed=8), rows=rows)
    assert of_run(run) == before


def test_the_command_says_what_it_gained(run: fintune.Run, fin: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    rows = [f"{distinct(i)} {'+-='[i % 3]}" for i in range(150)]
    path.write_text("words,mood\n" + "".join(f"{text},{'pnu'[i * 7 % 3]}\n" for i, text in enumerate(rows)))
    told = ("--set", "data.text_column=words", "--set", "data.label_column=mood", "--set")
    mapped = (*told, "data.label_map={p: positive, n: negative, u: neutral}")
    done = fin("calibrate", run.folder, "--data", path, "--rows", "60", *mapped)
    assert done.code == 0, done.err
    assert "90 other rows of that source" in done.out
    assert "Rests on 60 texts" in done.out
    assert fin("calibrate", run.folder, "--data", path).code == 2
    assert "label 'p' is not one of" in fin("calibrate", run.folder, "--data", path, *told[:-1]).err
    assert "Give one of them" in fin("calibrate", run.folder, "--data", path, "--folds", "5").err
    assert "Name it: --data FILE" in fin("calibrate", run.folder, "--rows", "60").err

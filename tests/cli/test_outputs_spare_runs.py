"""What a command writes never takes the place of a run's files, nor of a file of another kind."""

import shutil
from pathlib import Path

import pytest

import fintune
from tests.conftest import Command


@pytest.mark.parametrize("name", ["predictions.validation.jsonl", "predictions.test.other.jsonl"])
def test_predictions_do_not_replace_those_of_a_run(
    trained: fintune.Run, tmp_path: Path, fin: Command, name: str
) -> None:
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    texts = tmp_path / "in.csv"
    texts.write_text("text\nAlvex of Oslo +\n")
    refused = fin("predict", run, "--file", texts, "--output", run / name)
    assert (refused.code, "is a file of the run in" in refused.err) == (2, True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert fin("predict", run, "--file", texts, "--output", run / "mine.csv").code == 0


def test_a_project_with_a_config_of_its_own_is_no_run(trained: fintune.Run, tmp_path: Path, fin: Command) -> None:
    (tmp_path / "config.yaml").write_text("name: mine\n")
    (tmp_path / "exports").mkdir()
    texts = tmp_path / "in.csv"
    texts.write_text("text\nAlvex of Oslo +\n")
    assert fin("predict", trained.folder, "--file", texts, "--output", tmp_path / "exports" / "a.csv").code == 0


@pytest.mark.parametrize("name", ["table.csv", "scores.json", "page"])
def test_a_report_replaces_no_file_that_is_no_page(
    trained: fintune.Run, tmp_path: Path, fin: Command, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    refused = fin("report", trained.folder, "--output", tmp_path / name)
    assert (refused.code, "a report is an HTML page" in refused.err) == (2, True)
    assert (tmp_path / name).read_text() == "mine"


def test_a_part_of_the_run_and_another_file_are_not_asked_for_at_once(
    trained: fintune.Run, rows_file: Path, fin: Command
) -> None:
    refused = fin("evaluate", trained.folder, "--data", rows_file, "--split", "test")
    assert (refused.code, "Give one of them" in refused.err) == (2, True)

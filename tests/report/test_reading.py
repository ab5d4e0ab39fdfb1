"""What is read from run and comparison folders, and that a missing or damaged piece costs no more than itself."""

import json
from pathlib import Path

import pytest

from fintune.errors import RunError
from fintune.report.comparing import alike, frontier, of_runs
from fintune.report.reading import read_comparison, read_run
from fintune.report.sources import read_sources
from fintune.runs.files import MARK
from tests.label_scores import HEADLINE
from tests.report.made import LABELS, made_comparison, made_run


def test_a_whole_run_misses_nothing(tmp_path: Path) -> None:
    run = read_run(made_run(tmp_path / "a").folder)
    assert (run.part, len(run.judged), run.labels, run.method, run.missing) == ("test", 60, LABELS, "lora", [])
    assert (run.kind, run.headline, run.weighed) == ("labels", list(HEADLINE), run.judged)


def test_a_real_run_misses_nothing(trained: "object") -> None:
    run = read_run(trained.folder)  # type: ignore[attr-defined]
    assert (run.part, len(run.judged), run.missing) == ("test", 18, [])
    assert run.adapter_bytes > 1000


@pytest.mark.parametrize("name", ["data.json", "environment.json", "scores.json", "log.jsonl"])
def test_missing_and_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    run = made_run(tmp_path / "a")
    (run.folder / name).write_text("{")
    assert read_run(run.folder).missing == [name]
    (run.folder / name).unlink()
    assert read_run(run.folder).missing == [name]


def test_half_a_file_of_predictions_is_not_counted(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a")
    path = run.folder / "predictions.test.jsonl"
    path.write_text(path.read_text()[:-20])
    found = read_run(run.folder)
    assert (found.missing, list(found.predictions)) == (["predictions.test.jsonl"], ["validation"])


def test_answers_of_baselines_are_not_the_runs(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a", parts=("validation",))
    run.write_text("predictions.test.majority.jsonl", (run.folder / "predictions.validation.jsonl").read_text())
    assert list(read_run(run.folder).predictions) == ["validation"]


def test_a_line_ends_where_json_lines_end(tmp_path: Path) -> None:
    run = read_run(made_run(tmp_path / "a", text="one\u2028two\x85three").folder)
    assert (len(run.judged), run.judged[0].text) == (60, "one\u2028two\x85three 0")


def test_validation_stands_in_for_a_test_part(tmp_path: Path) -> None:
    assert read_run(made_run(tmp_path / "a", parts=("validation",)).folder).part == "validation"


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a")
    run.write_text(MARK, "begun today\n")
    assert read_run(run.folder).unfinished == "begun today"


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        read_sources([tmp_path])
    (tmp_path / "comparison.json").write_text(json.dumps({"rows": [{"name": "lora"}]}))
    with pytest.raises(RunError, match="damaged: no rows of scores"):
        read_comparison(tmp_path)


def test_the_first_run_of_a_row_stands_for_it_once(tmp_path: Path) -> None:
    for name in ("lora-0", "lora-1"):
        made_run(tmp_path / name)
    folder = made_comparison(tmp_path / "c", {"lora": ["../lora-0", "../lora-1"], "ia3": ["../ia3-0"]})
    found = read_sources([folder, tmp_path / "lora-0", tmp_path / "c" / ".." / "lora-0"])
    assert [run.name for run in found.runs] == ["lora-0"]
    assert (found.comparisons[0].runs, found.comparisons[0].gone) == ({"lora": 0}, ["../ia3-0"])


def test_runs_are_compared_on_the_part_that_most_were_scored_on(tmp_path: Path) -> None:
    runs = [read_run(made_run(tmp_path / name, parts=("validation",)).folder) for name in ("a", "b")]
    runs.append(read_run(made_run(tmp_path / "c").folder))
    found = of_runs(runs)
    assert (found["part"], found["n"]) == ("validation", 60)
    assert [row["name"] for row in found["rows"]] == ["a", "b", "c", "tfidf", "majority"]
    assert found["rows"][0]["train_seconds"] == 40.0
    assert list(found["rows"][0]["scores"]) == found["headline"] == list(HEADLINE)
    assert found["rows"][0]["scores"]["accuracy"]["value"] == pytest.approx(39 / 60)


def test_the_frontier_holds_what_nothing_cheaper_equals() -> None:
    rows = [
        {"name": n, "train_seconds": cost, "scores": {"accuracy": {"value": value}, "answer_loss": {"value": -value}}}
        for n, cost, value in (("a", 1, 0.5), ("b", 2, 0.5), ("c", 3, 0.9), ("d", 4, 0.8), ("e", None, 1.0))
    ]
    assert frontier(rows, "train_seconds", "accuracy") == frontier(rows, "train_seconds", "answer_loss") == ["a", "c"]


def test_metrics_of_one_scale_share_an_axis() -> None:
    assert alike(HEADLINE) == ["macro_f1", "accuracy"]
    assert (alike(["mcc", "accuracy"]), alike([])) == (["mcc"], [])

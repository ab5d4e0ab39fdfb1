"""Stored scores of runs side by side, in every form."""

import csv
import json
import shutil
from html import unescape
from pathlib import Path

import pytest

import fintune
from fintune.evaluation.slices import SLICINGS
from fintune.report import write_report
from fintune.tasks.lookup import interval
from tests.conftest import Command
from tests.report.test_page import plain
from tests.tiny import LABELS, config_for, tiny_rows


def test_one_row_a_run_in_every_form(fin: Command, trained: fintune.Run) -> None:
    score = trained.scores()["test"]["accuracy"]
    table = fin("scores", trained.folder, "--metrics", "accuracy").out
    figure = f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
    assert figure in table
    rows = list(csv.DictReader(fin("scores", trained.folder, trained.folder, "--format", "csv").out.splitlines()))
    assert [row["run"] for row in rows] == ["tiny", "tiny"]
    assert float(rows[0]["accuracy_low"]) == score.low
    assert int(rows[0]["n"]) == score.n
    markdown = fin("scores", trained.folder, "--metrics", "accuracy,macro_f1", "--format", "markdown").out.splitlines()
    assert markdown[0].split("|")[1:-1] == [f" {name}".ljust(len(cell)) for name, cell in zip(
        ["run", "method", "part", "n", "accuracy (%)", "macro-F1 (%)"], markdown[0].split("|")[1:-1], strict=True)]  # fmt: skip
    latex = fin("scores", trained.folder, "--metrics", "accuracy", "--format", "latex").out
    assert r"\toprule" in latex
    assert r"accuracy (\%)" in latex
    assert figure in latex
    record = json.loads(fin("scores", trained.folder, "--format", "json", "--part", "validation").out)
    assert record[0]["scores"]["accuracy"]["value"] == trained.scores()["validation"]["accuracy"].value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "tset"], "no scores of part 'tset'"),
        (["--metrics", "acuracy"], "no metric 'acuracy'"),
    ],
)
def test_what_is_not_there(fin: Command, trained: fintune.Run, arguments: list[str], message: str) -> None:
    done = fin("scores", trained.folder, *arguments)
    assert done.code == 2
    assert message in done.err.splitlines()[0]
    assert "Did you mean" in done.err.splitlines()[1]


@pytest.fixture(scope="module")
def odd(tiny_causal: Path, tmp_path_factory: pytest.TempPathFactory) -> fintune.Run:
    """A run on rows of three groups, one of which has every sign for another label."""
    folder = tmp_path_factory.mktemp("odd")
    turned = dict(zip(LABELS, LABELS[1:] + LABELS[:1], strict=True))
    rows = [
        {**row, "label": turned[row["label"]] if i % 4 == 0 else row["label"], "group": f"g{i % 4}"}
        for i, row in enumerate(tiny_rows(180))
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = config_for(tiny_causal, path, folder)
    config["data"] |= {
        "group_column": "group",
        "split": {"by": "stratified", "train": 0.4, "validation": 0.1, "test": 0.5},
    }
    return fintune.train(config, ["evaluation.baselines=[majority]", "train.epochs=4"])


def test_slices_are_stored_and_shown_and_the_worse_is_flagged(fin: Command, odd: fintune.Run) -> None:
    by_name = {one.name: one for one in odd.claims().slices["test"] if one.by == "group"}
    assert [name for name, one in by_name.items() if one.worse] == ["g0"]
    table = fin("scores", odd.folder, "--by", "group").out.splitlines()
    assert [line.split()[2] for line in table if " p 0." in line] == ["g0"]
    assert max(map(len, table)) <= 80
    rows = list(csv.DictReader(fin("scores", odd.folder, "--by", "group", "--format", "csv").out.splitlines()))
    assert {row["slice"]: (int(row["n"]), row["worse"]) for row in rows} == {
        name: (one.scores["accuracy"].n, str(one.worse)) for name, one in by_name.items()
    }
    assert float(rows[0]["macro_f1_low"]) == by_name[rows[0]["slice"]].scores["macro_f1"].low
    record = json.loads(fin("scores", odd.folder, "--by", "all", "--format", "json").out)
    assert [row["slice"] for row in record] == [one.name for one in odd.claims().slices["test"]]
    markdown = fin("scores", odd.folder, "--by", "group", "--format", "markdown", "--metrics", "accuracy").out
    assert "| g0 " in markdown


def test_the_worse_slice_is_said_wherever_the_run_is_shown(fin: Command, odd: fintune.Run) -> None:
    (said,) = [one.text for one in odd.claims().of("test") if one.kind == "slice"]
    assert said in (odd.folder / "README.md").read_text()
    page = write_report([odd.folder])
    assert said in unescape(plain(page))
    assert "By slices of the texts" in plain(page)
    assert ">g0<" in page.read_text()
    assert ">g0<" not in write_report([odd.folder], texts=False).read_text()
    again = json.loads(fin("evaluate", odd.folder, "--json").out)
    assert [one["name"] for one in again["slices"] if one["worse"]] == ["g0"]


def test_texts_of_each_label_and_averages_stand_with_the_labels(fin: Command, odd: fintune.Run) -> None:
    scores, table = odd.scores()["test"], fin("evaluate", odd.folder).out
    shown = {
        line.split()[0]: line.split()[-1] for line in table.splitlines() if "]" in line and line.split()[0] in LABELS
    }
    assert shown == {label: str(round(scores[f"support/{label}"].value)) for label in LABELS}
    assert f"balanced accuracy {interval('balanced_accuracy', scores['balanced_accuracy'])}" in " ".join(table.split())


def test_what_there_is_too_little_of_is_said_of_the_run(fin: Command, odd: fintune.Run) -> None:
    few = "18 validation texts cannot choose an epoch"
    assert few in (odd.folder / "README.md").read_text()
    assert few in plain(write_report([odd.folder]))
    config = odd.folder / "config.yaml"
    assert few in fin("check", config).out
    assert few in json.loads(fin("check", config, "--json").out)["scant"][0]["text"]
    assert few in fin("train", config, "--set", "name=again", "--set", "train.epochs=2").err


@pytest.mark.parametrize(
    ("by", "message", "hint"),
    [
        ("colour", "--by colour: no sort of slices", "group, year, quarter, length, source, language, date, all"),
        ("source", "no slices by source", "slices by: group."),
    ],
)
def test_slices_that_are_not_there(fin: Command, odd: fintune.Run, by: str, message: str, hint: str) -> None:
    done = fin("scores", odd.folder, "--by", by)
    assert done.code == 2
    assert message in done.err.splitlines()[0]
    assert hint in done.err.splitlines()[1]


def test_a_run_scored_before_there_were_slices(fin: Command, odd: fintune.Run, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(odd.folder, folder)
    record = json.loads((folder / "scores.json").read_text())
    del record["slices"]
    (folder / "scores.json").write_text(json.dumps(record))
    done = fin("scores", folder, "--by", "group")
    assert done.code == 2
    assert "fintune evaluate" in done.err.splitlines()[1]
    assert "By slices" not in plain(write_report([folder]))


def test_help_names_every_sort(fin: Command) -> None:
    said = " ".join(fin("scores", "--help").out.replace("│", " ").split())
    assert all(name in said for name in [*SLICINGS, "date", "all"])


def test_scores_of_labels_have_a_column_each(trained: fintune.Run, fin: Command) -> None:
    metrics = [name for name in trained.scores()["test"] if name.startswith("f1/")]
    header = fin("scores", trained.folder, "--metrics", ",".join(metrics), "--format", "markdown").out.splitlines()[0]
    assert len(metrics) > 1
    assert [f"F1 of {name.partition('/')[2]} (%)" in header for name in metrics] == [True] * len(metrics)

"""Stored scores of runs side by side, in every form."""

import csv
import json

import pytest

import fintune
from tests.conftest import Command


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

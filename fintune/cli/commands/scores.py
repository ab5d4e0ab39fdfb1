"""Command for the scores of runs side by side: scores."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli import output
from fintune.cli.options import Code, Debug
from fintune.cli.output import out, print_json, working
from fintune.runtime.layout import Text

if TYPE_CHECKING:
    from fintune.records import Score
    from fintune.runs.score_rows import ScoreRow


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def scores(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders.")],
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Metrics of scores.json; left out: the task's first.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to write them.")] = Form.table,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show stored scores with their intervals, one row a run: for a terminal, a spreadsheet, a paper, a program."""
    from dataclasses import asdict

    from fintune.runs.run import Run
    from fintune.runs.score_rows import row_of

    with working():
        rows = [row_of(Run.open(run), part, output.split_list(metrics)) for run in runs]
    if form is Form.json:
        print_json([asdict(row) for row in rows])
    elif form is Form.csv:
        out.print(_csv(rows), soft_wrap=True)
    else:
        out.print(Text(_written(rows, form)), soft_wrap=True)


def _names(rows: "list[ScoreRow]") -> list[str]:
    """Return the metrics of all rows, each once."""
    return list(dict.fromkeys(name for row in rows for name in row.scores))


def _csv(rows: "list[ScoreRow]") -> str:
    """Return a column each for value, low and high of a metric, as plain numbers."""
    import csv
    import io

    from fintune.data.readers.formulas import neutral

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = _names(rows)
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    writer.writerow(["run", "task", "base", "method", "part", "n", *ends, "worth"])
    for row in rows:
        numbers = [number for name in names for number in _ends(row.scores.get(name))]
        texts = map(neutral, (row.run, row.task, row.base, row.method, row.part))
        writer.writerow([*texts, row.n, *numbers, neutral(row.worth)])
    return file.getvalue().rstrip("\n")


def _ends(score: "Score | None") -> tuple[float | str, ...]:
    return ("", "", "") if score is None else (score.value, score.low, score.high)


def _written(rows: "list[ScoreRow]", form: Form) -> str:
    """Return a table: shares in per cent, intervals in brackets."""
    from tabulate import tabulate  # type: ignore[import-untyped]

    from fintune.tasks.lookup import interval, metric_of

    names = _names(rows)
    titles = [f"{metric_of(n).title}{' (%)' if metric_of(n).share else ''}" for n in names]
    cells = [
        [
            row.run,
            row.method,
            row.part,
            str(row.n),
            *(interval(n, row.scores[n]) if n in row.scores else "" for n in names),
        ]
        for row in rows
    ]
    kind = {Form.markdown: "github", Form.latex: "latex_booktabs"}.get(form, "simple")
    text: str = tabulate(cells, headers=["run", "method", "part", "n", *titles], tablefmt=kind, disable_numparse=True)
    said = [f"{row.run}: {row.worth}" for row in rows if row.worth]
    return "\n".join([text, *said]) if form is Form.table else text

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
    from fintune.runs.score_rows import ScoreRow, SliceRow


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
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="A row for each slice of the texts: by group, date (year, quarter), length, source, language, or all; and whether it is"
            " worse than the others beyond chance (corrected for all slices of the part).",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Metrics of scores.json; left out: the task's first, of slices on a terminal the tested one.",
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to write them.")] = Form.table,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show stored scores with their intervals, one row a run or a slice of its texts: for a terminal, a spreadsheet, a paper, a program."""
    from dataclasses import asdict

    from fintune.evaluation.slices import kinds_of
    from fintune.runs.run import Run
    from fintune.runs.score_rows import ScoreRow, row_of, slice_rows

    names, rows = output.split_list(metrics), list[ScoreRow]()
    with working():
        kinds = None if by is None else kinds_of(output.split_list(by) or [])
        for run in map(Run.open, runs):
            slices = [] if kinds is None else slice_rows(run, part, kinds, names)
            rows += map(_tested, slices) if form is Form.table and names is None else slices
            rows += [row_of(run, part, names)] if kinds is None else []
    if form is Form.json:
        print_json([asdict(row) for row in rows])
    elif form is Form.csv:
        out.print(_csv(rows), soft_wrap=True)
    else:
        out.print(Text(_written(rows, form)), soft_wrap=True)


def _names(rows: "list[ScoreRow]") -> list[str]:
    """Return the metrics of all rows, each once."""
    return list(dict.fromkeys(name for row in rows for name in row.scores))


def _tested(row: "SliceRow") -> "SliceRow":
    """Return a row with the tested metric alone: with more it is too wide for a terminal."""
    from dataclasses import replace

    return replace(row, scores={row.metric: row.scores[row.metric]})


def _csv(rows: "list[ScoreRow]") -> str:
    """Return a column each for value, low and high of a metric, as plain numbers."""
    import csv
    import io
    from dataclasses import fields

    from fintune.data.readers.formulas import neutral

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = _names(rows)
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    own = [field.name for field in fields(rows[0]) if field.name != "scores"]
    place = own.index("n") + 1
    writer.writerow([*own[:place], *ends, *own[place:]])
    for row in rows:
        numbers = [number for name in names for number in _ends(row.scores.get(name))]
        values = (getattr(row, name) for name in own)
        cells = [neutral(value) if isinstance(value, str) else value for value in values]
        writer.writerow([*cells[:place], *numbers, *cells[place:]])
    return file.getvalue().rstrip("\n")


def _ends(score: "Score | None") -> tuple[float | str, ...]:
    return ("", "", "") if score is None else (score.value, score.low, score.high)


def _written(rows: "list[ScoreRow]", form: Form) -> str:
    """Return a table: shares in per cent, intervals in brackets."""
    from tabulate import tabulate  # type: ignore[import-untyped]

    from fintune.runs.score_rows import PartRow

    kind = {Form.markdown: "github", Form.latex: "latex_booktabs"}.get(form, "simple")
    cells = [_cells(row, _names(rows), form) for row in rows]
    text: str = tabulate(cells, headers="keys", tablefmt=kind, disable_numparse=True)
    worth = [f"{row.run}: {row.worth}" for row in rows if isinstance(row, PartRow) and row.worth]
    return "\n".join([text, *worth]) if form is Form.table else text


def _cells(row: "ScoreRow", names: list[str], form: Form) -> dict[str, str]:
    """Return a row's cells by title: shares in per cent, intervals in brackets; of a slice, what the other texts have, and p if worse."""
    from fintune.runs.score_rows import SliceRow
    from fintune.runtime.printable import markdown
    from fintune.tasks.lookup import interval, metric_of

    scores = {_title(name): interval(name, row.scores[name]) if name in row.scores else "" for name in names}
    if not isinstance(row, SliceRow):
        return {"run": row.run, "method": row.method, "part": row.part, "n": str(row.n), **scores}
    name = markdown(row.slice) if form is Form.markdown else row.slice
    last = {
        f"others: {metric_of(row.metric).title}": metric_of(row.metric).figure(row.others),
        "worse": f"p {row.p:.2g}" if row.worse else "",
    }
    return {"run": row.run, "by": row.by, "slice": name, "n": str(row.n), **scores, **last}


def _title(name: str) -> str:
    from fintune.tasks.lookup import metric_of

    label = name.partition("/")[2]
    of = f" of {label}" if label else ""
    return f"{metric_of(name).title}{of}{' (%)' if metric_of(name).share else ''}"

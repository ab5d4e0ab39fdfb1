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
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="A row for each slice of the texts: by group, date (year, quarter), length, source, language, or all; and whether it is"
            " worse than the others beyond chance (corrected for all slices of the part).",
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Metrics of scores.json; left out: the task's first.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to write them.")] = Form.table,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show stored scores with their intervals, one row a run or a slice of its texts: for a terminal, a spreadsheet, a paper, a program."""
    from dataclasses import asdict

    from fintune.evaluation.slices import kinds_of
    from fintune.runs.run import Run
    from fintune.runs.score_rows import row_of, slice_rows

    names = output.split_list(metrics)
    with working():
        kinds = None if by is None else kinds_of(output.split_list(by) or [])
        opened = [Run.open(run) for run in runs]
        rows: list[ScoreRow] = []
        for run in opened:
            rows += [row_of(run, part, names)] if kinds is None else slice_rows(run, part, kinds, names)
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

    from fintune.tasks.lookup import interval, metric_of

    names = _names(rows)
    titles = {n: f"{metric_of(n).title}{' (%)' if metric_of(n).share else ''}" for n in names}
    cells = [
        _first(row, form)
        | {titles[n]: interval(n, row.scores[n]) if n in row.scores else "" for n in names}
        | _last(row)
        for row in rows
    ]
    kind = {Form.markdown: "github", Form.latex: "latex_booktabs"}.get(form, "simple")
    text: str = tabulate(cells, headers="keys", tablefmt=kind, disable_numparse=True)
    said = dict.fromkeys(f"{row.run}: {row.worth}" for row in rows if row.worth)
    return "\n".join([text, *said]) if form is Form.table else text


def _first(row: "ScoreRow", form: Form) -> dict[str, str]:
    """Return what stands before the scores."""
    from fintune.runs.score_rows import SliceRow
    from fintune.runtime.printable import markdown

    if not isinstance(row, SliceRow):
        return {"run": row.run, "method": row.method, "part": row.part, "n": str(row.n)}
    name = markdown(row.slice) if form is Form.markdown else row.slice
    return {"run": row.run, "by": row.by, "slice": name, "n": str(row.n)}


def _last(row: "ScoreRow") -> dict[str, str]:
    """Return what stands behind the scores of a slice: what the others have, and whether it is worse."""
    from fintune.runs.score_rows import SliceRow
    from fintune.tasks.lookup import metric_of

    if not isinstance(row, SliceRow):
        return {}
    metric = metric_of(row.metric)
    flag = f"worse (p {row.p:.2g})" if row.worse else ""
    return {f"others, {metric.title}": metric.figure(row.others), "": flag}

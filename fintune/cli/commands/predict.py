"""Commands for texts through a run: predict, explain."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli.hints import in_options_of
from fintune.cli.options import (
    AsJson,
    Base,
    Code,
    Debug,
    Encoding,
    EngineName,
    FormatName,
    Settings,
    TaskOption,
    TrainedSource,
    share,
)
from fintune.cli.output import err, out, print_json, say_bulk, working
from fintune.errors import RunError, UsageError
from fintune.runtime.layout import Text

if TYPE_CHECKING:
    from fintune.data.readers.read import Reading
    from fintune.inference.files import AnswerColumns
    from fintune.records import Prediction, Row
    from fintune.tasks import Task


def predict(
    context: typer.Context,
    run: TrainedSource,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; left out: lines of standard input.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Read texts from a file, of any format that data.path takes.")
    ] = None,
    name: FormatName = None,
    encoding: Encoding = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the file that holds the text; left out: as in training.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to FILE.csv, .jsonl, .parquet or .xlsx instead of the screen.")
    ] = None,
    max_error: Annotated[
        str | None,
        typer.Option(
            help="Mark as abstaining what a calibrated run is not sure enough of to be wrong at most so often, such as 1%."
        ),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            help="What mistakes cost, {right label: {answer: cost, abstain: cost}} in YAML or JSON: the cheapest answer is given."
        ),
    ] = None,
    engine: EngineName = "torch",
    base: Base = None,
    task: TaskOption = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Answer texts, with a probability for every label or choice; a file into a file is streamed, and resumed after a kill."""
    from fintune.cli.another_file import opened_to_read
    from fintune.data.reading import reading_like
    from fintune.inference.calibration.rules import read_costs
    from fintune.inference.files import read_texts
    from fintune.inference.open import choose_engine
    from fintune.inference.predict_file import Layout, check_output, columns_of, predict_file
    from fintune.inference.predictor import predictor_of
    from fintune.tasks.protocol import asked_fields

    most, priced = None if max_error is None else share(max_error), None if costs is None else read_costs(costs)
    opened, told = opened_to_read(run, file, settings, base=base, task=task)
    with working():
        answers = opened.config().build_task()
        _need_text_column(answers, text_column)
    if file is not None and output is not None and not texts:
        with working(), in_options_of(context, file="--file"):
            layout: Layout = {"text_column": text_column, "name": name, "encoding": encoding, "told": told}
            done = predict_file(opened, file, output, engine_name=engine, max_error=most, costs=priced, **layout)
        say_bulk(done)
        return
    chosen = choose_engine(opened, engine)
    rule = chosen.rule(most, priced)
    columns = columns_of(answers, chosen.calibration, rule)
    if output is not None:
        check_output(output)
    data = opened.config().data
    how = reading_like(data, answers, file or "", name=name, encoding=encoding, need_label=False, told=told)
    with working(), in_options_of(context, file="--file"):
        rows = read_texts(asked_fields(answers), texts or [], file, _texts_alone(how, text_column))
    with working():
        predictor = predictor_of(chosen, rule)
        predictions = predictor([row.fields for row in rows], [row.id for row in rows])
    _show(predictions, columns, output, as_json)


def _show(predictions: "Sequence[Prediction]", columns: "AnswerColumns", output: Path | None, as_json: bool) -> None:
    """Write answers into a file, or print them."""
    from fintune.inference.files import json_line, write_predictions
    from fintune.inference.table import predictions_table

    if output is not None:
        write_predictions(output, predictions, columns)
        err.print(Text(f"predictions written to {output}: {len(predictions):,}"))
    elif as_json:
        sys.stdout.writelines(json_line(prediction, columns) for prediction in predictions)
    else:
        out.print(predictions_table(predictions, columns))


def _need_text_column(task: "Task", text_column: str | None) -> None:
    """Refuse a text column for a prompt that reads none."""
    from fintune.records import TEXT

    if text_column is not None and TEXT not in task.fields:
        raise UsageError(
            f"--text-column: the prompt reads {', '.join(task.fields)}, and no text column",
            hint="Leave it out: columns of the file go by these names.",
        )


def _texts_alone(how: "Reading", text_column: str | None = None) -> "Reading":
    """Return the same reading, of no other column than that of the text."""
    return replace(how, columns=replace(how.columns, text=text_column or how.columns.text, date=None, group=None))


def explain(
    context: typer.Context,
    run: TrainedSource,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts; left out, without --file: the run's confident mistakes and uncertain texts."),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Read texts from a file, of any format that data.path takes.")
    ] = None,
    base: Base = None,
    task: TaskOption = None,
    settings: Settings = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show which words moved the answer: by how much its probability falls without each (not a cause)."""
    from fintune.cli.another_file import opened_to_read
    from fintune.data.reading import reading_like
    from fintune.inference.explain import explain as explain_texts
    from fintune.inference.explain import explain_run
    from fintune.inference.files import read_texts
    from fintune.inference.open import kind_in_words
    from fintune.runs.run import Run
    from fintune.tasks.protocol import asked_fields

    opened, told = opened_to_read(run, file, settings, base=base, task=task)
    rows: list[Row] = []
    if texts or file is not None:
        asked = opened.config().build_task()
        how = _texts_alone(reading_like(opened.config().data, asked, file or "", need_label=False, told=told))
        with working(), in_options_of(context, file="--file"):
            rows = read_texts(asked_fields(asked), texts or [], file, how)
    elif not isinstance(opened, Run):
        raise RunError(f"{run}: {kind_in_words(opened)}, and no answers in it", hint="Give texts, or a --file of them.")
    with working():
        words = (
            explain_run(opened)
            if isinstance(opened, Run) and not rows
            else explain_texts(opened, [row.fields for row in rows], [row.id for row in rows])
        )
    if as_json:
        print_json([attribution.record() for attribution in words])
        return
    from fintune.inference.table import attributions

    out.print(*attributions(words), sep="\n", soft_wrap=True)

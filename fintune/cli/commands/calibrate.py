"""Commands for confidence one can act on: calibrate, monitor."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli.hints import in_options_of
from fintune.cli.options import AsJson, Code, Debug, Encoding, EngineName, FormatName, RunFolder, Settings, share
from fintune.cli.output import out, print_json, working
from fintune.errors import UsageError
from fintune.runtime.layout import Text

if TYPE_CHECKING:
    from fintune.evaluation.calibrate import CalibrationOptions
    from fintune.evaluation.drift import Drift
    from fintune.evaluation.recalibrate import Recalibration
    from fintune.inference.calibration.record import Calibration

_ALARM = 3
"""Exit code of an alarm."""


def calibrate(
    context: typer.Context,
    run: RunFolder,
    folds: Annotated[
        int | None,
        typer.Option(min=2, max=100, help="First train the run's settings on so many folds, for answers out of fold."),
    ] = None,
    scaling: Annotated[
        str | None, typer.Option(help="none, temperature, vector or isotonic; left out: what errs least on new rows.")
    ] = None,
    max_error: Annotated[
        list[str] | None,
        typer.Option(
            help="A share of errors, such as 1%, to find a confidence for that keeps it; may be repeated. Always: 0.5 to 10 %."
        ),
    ] = None,
    level: Annotated[str, typer.Option(help="Probability with which such a promise holds.")] = "95%",
    coverage: Annotated[str, typer.Option(help="How often a set of labels is to hold the right one.")] = "95%",
    by_class: Annotated[
        bool, typer.Option("--by-class", help="As often for each label, not only over all of them.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Fit it again on labeled rows of another source, and say what that gained.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="So many rows of --data, at random; left out: half. The gain is of the others.")
    ] = None,
    name: FormatName = None,
    encoding: Encoding = None,
    settings: Settings = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Correct a run's probabilities, and find the confidence from which on it may be trusted, on rows it has not learned from."""
    from fintune.evaluation.calibrate import calibrate as calibrate_run
    from fintune.runs.run import Run

    options = _options(scaling, max_error, level=level, coverage=coverage, by_class=by_class)
    if data is not None:
        _need_alone(folds)
        with working():
            again = _again(context, run, data, rows, options, name=name, encoding=encoding, settings=settings)
        _show(again.calibration, again.record(), as_json, again)
        return
    if rows is not None:
        raise UsageError("--rows: of another source's file", hint="Name it: --data FILE.")
    with working():
        opened = Run.open(run)
        if folds is not None:
            from fintune.training.folds import out_of_fold

            out_of_fold(opened, folds)
        calibration = calibrate_run(opened, options)
    _show(calibration, calibration.model_dump(mode="json"), as_json)


def _need_alone(folds: int | None) -> None:
    if folds is not None:
        raise UsageError("--folds: are of the run's own data, and --data is another's", hint="Give one of them.")


def _again(
    context: typer.Context,
    run: Path,
    data: str,
    rows: int | None,
    options: "CalibrationOptions",
    *,
    name: str | None,
    encoding: str | None,
    settings: list[str] | None,
) -> "Recalibration":
    """Answer another source's labeled rows, and fit on some of them."""
    from fintune.cli.another_file import opened_to_read
    from fintune.evaluation.recalibrate import recalibrate
    from fintune.evaluation.score import score_file
    from fintune.inference.open import open_engine
    from fintune.runs.run import Run

    opened, reading_settings = opened_to_read(run, data, settings, base=None, task=None)
    if not isinstance(opened, Run):
        raise UsageError(f"{run}: no run, and nothing to calibrate", hint="Name a run's folder.")
    with in_options_of(context, file="--data"):
        evaluation = score_file(
            opened, data, name=name, encoding=encoding, running=open_engine(opened), told=reading_settings
        )
    return recalibrate(opened, data, evaluation.predictions, rows, options)


def _show(calibration: "Calibration", record: object, as_json: bool, again: "Recalibration | None" = None) -> None:
    if as_json:
        print_json(record)
        return
    from fintune.evaluation.table import gains_table
    from fintune.inference.calibration.table import calibration_table
    from fintune.inference.calibration.words import sentences

    out.print(calibration_table(calibration) if again is None else gains_table(again))
    for sentence in sentences(calibration):
        out.sentence(Text(sentence))


def _options(
    scaling: str | None, max_error: list[str] | None, *, level: str, coverage: str, by_class: bool
) -> "CalibrationOptions":
    from fintune.evaluation.calibrate import CalibrationOptions
    from fintune.inference.calibration.scaling import SCALINGS

    if scaling is not None and scaling not in SCALINGS:
        raise UsageError(f"--scaling {scaling}: unknown", hint=f"One of: {', '.join(SCALINGS)}.")
    return CalibrationOptions(
        scaling=scaling,
        max_errors=[share(one) for one in max_error or ()],
        level=share(level),
        coverage=share(coverage),
        by_class=by_class,
    )


def monitor(
    context: typer.Context,
    run: RunFolder,
    file: Annotated[str, typer.Argument(metavar="FILE", help="New texts, of any format that data.path takes.")],
    name: FormatName = None,
    encoding: Encoding = None,
    rows: Annotated[int, typer.Option(min=30, help="Texts that are looked at, at random.")] = 2000,
    level: Annotated[str, typer.Option(help="How often there may be an alarm where nothing has changed.")] = "5%",
    engine: EngineName = "torch",
    settings: Settings = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Say whether new texts are still like those a run was made of: exit code 3 where they are not; a line in its drift.jsonl."""
    from fintune.cli.another_file import opened_to_read
    from fintune.data.reading import reading_like
    from fintune.evaluation.monitor import monitor as monitor_run
    from fintune.evaluation.monitor import reference_of, texts_to_watch
    from fintune.inference.open import choose_engine
    from fintune.inference.predictor import Predictor
    from fintune.runs.run import Run

    likely = share(level)
    opened, reading_settings = opened_to_read(run, file, settings, base=None, task=None)
    if not isinstance(opened, Run):
        raise UsageError(f"{run}: no run, and nothing in it to compare with", hint="Name a run's folder.")
    task = opened.config().build_task()
    with working():
        reference_of(opened)
        with in_options_of(context, file="FILE"):
            how = reading_like(
                opened.config().data, task, file, name=name, encoding=encoding, need_label=False, told=reading_settings
            )
            texts = texts_to_watch(file, how, rows)
        predictor = Predictor(choose_engine(opened, engine).open(), task)
        result = monitor_run(opened, file, texts, predictor, level=likely)
    if as_json:
        print_json(asdict(result) | {"alarm": result.alarm})
    else:
        from fintune.evaluation.table import drift_table

        out.print(drift_table(result))
        out.sentence(Text(_verdict(result)))
    if result.alarm:
        raise typer.Exit(_ALARM)


def _verdict(result: "Drift") -> str:
    changed = [test.name for test in result.tests if test.p <= result.level]
    if changed:
        return f"These texts are not like those it was made of: {', '.join(changed)}. Label some and score it on them: fintune evaluate."
    return f"Nothing that sets these {result.new:,} texts apart from those it was made of."

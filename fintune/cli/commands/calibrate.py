"""Command for confidence one can act on: calibrate."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli.options import AsJson, Code, Debug, RunFolder, share
from fintune.cli.output import out, print_json, working
from fintune.errors import UsageError
from fintune.runtime.layout import Text

if TYPE_CHECKING:
    from fintune.evaluation.calibrate import CalibrationOptions


def calibrate(
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
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Correct a run's probabilities, and find the confidence from which on it may be trusted, on rows it has not learned from."""
    from fintune.evaluation.calibrate import calibrate as calibrate_run
    from fintune.runs.run import Run

    options = _options(scaling, max_error, level=level, coverage=coverage, by_class=by_class)
    with working():
        opened = Run.open(run)
        if folds is not None:
            from fintune.training.folds import out_of_fold

            out_of_fold(opened, folds)
        calibration = calibrate_run(opened, options)
    if as_json:
        print_json(calibration.model_dump(mode="json"))
        return
    from fintune.inference.calibration.table import errors_table
    from fintune.inference.calibration.words import sentences

    out.print(errors_table(calibration))
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

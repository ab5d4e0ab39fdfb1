"""The commands: flags to one library call to printed lines. Everything else lives in the library.

fintune train run.yaml --set train.epochs=3
fintune predict runs/run "Operating loss narrowed to EUR 2 mn."
"""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from fintune import display, exits, signals
from fintune.errors import DataError, RunError
from fintune.records import Scores
from fintune.run import typed

app = typer.Typer(
    name="fintune",
    help="Fine-tune a language model on labelled financial text, with honest scores.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)
INTERRUPTED = 130
_debug = False


def _set_debug(value: bool) -> None:
    global _debug  # noqa: PLW0603
    _debug = _debug or value


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config; fintune init writes one.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/phrasebank-lora.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be repeated.")
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Format of that file; left out: as in training if it ends alike, or found."),
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of that file; left out: as in training if it ends alike, or found.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, is_eager=True, help="Show the traceback of an error.")
]


@app.callback(invoke_without_command=True)
def _without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        out.print(context.get_help())
        raise typer.Exit(2)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("run.yaml"),
    data: Annotated[str | None, typer.Option(help="Fill in data.path.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    debug: Debug = False,
) -> None:
    """Write a commented config with every setting."""
    from fintune.atomic import need_place, write_atomically
    from fintune.template import template

    if path.exists() and not force:
        raise RunError(f"{path}: exists already", hint="Name another file, or add --force.")
    need_place(path)
    write_atomically(path, template(str(path), data=data))
    out.print(Text(f"wrote {path}\nnext: fintune check {typed(path)}"), soft_wrap=True)


@app.command()
def check(
    config: ConfigFile,
    overrides: Overrides = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Compare with another file: shared texts, and their labels there."),
    ] = None,
    pii: Annotated[bool, typer.Option("--pii", help="Look for personal data; needs fintune[pii].")] = False,
    near_duplicates: Annotated[
        bool, typer.Option(help="Look for near-duplicates; the split is by single rows without.")
    ] = True,
    doubt: Annotated[bool, typer.Option(help="List labels that the other rows contradict.")] = True,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check config and data, and say all that is wrong with them; exit code 1 when something is severe."""
    from fintune.config import load
    from fintune.examination import examine

    with _working():
        found = examine(
            load(config, overrides or []), against=against, pii=pii, near_duplicates=near_duplicates, doubt=doubt
        )
    if as_json:
        _print_json(found.record())
    else:
        for table in display.examination(found):
            out.print(table)
        out.print(Text(f"next: fintune train {typed(config)}" if not found.severe else "next: mend what is severe"))
    if found.severe:
        sys.exit(1)


@app.command()
def plan(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Estimate memory and time of a run from ten of its steps; exit code 1 when the memory will not do."""
    from fintune.planning import plan as estimate

    with _working():
        found = estimate(config, overrides or [])
    if as_json:
        _print_json(found.record())
    else:
        out.print(display.estimate(found))
        out.print(
            Text(f"next: fintune train {typed(config)}" if found.fits else "next: lower train.micro_batch_tokens")
        )
    if not found.fits:
        sys.exit(1)


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run; its adapter ends the same.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train an adapter, score it against baselines, save the run folder."""
    from fintune.pipeline import train as run_all

    with _working():
        run = run_all(config, overrides or [], overwrite=overwrite, resume=resume)
    if as_json:
        _print_json({"run": str(run.folder), **run.raw_scores()})
        return
    _show_scores(run)
    out.print(
        Text(
            f'run: {run.folder}\nnext: fintune predict {typed(run.folder)} "Profit fell 12 % but the outlook was raised."'
        ),
        soft_wrap=True,
    )


@app.command()
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Part of the run's own data: train, validation or test.")] = "test",
    data: Annotated[str | None, typer.Option(help="Score another labelled file instead; nothing is stored.")] = None,
    name: Format = None,
    encoding: Encoding = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score a run's adapter on one of its parts, or on another labelled file."""
    from fintune.pipeline import score_file, score_part
    from fintune.run import Run

    opened = Run.open(run)
    if split not in opened.data()["ids"]:
        raise RunError(f"--split {split}: not a part of this run", hint=f"Parts: {', '.join(opened.data()['ids'])}.")
    with _working():
        found = (
            score_file(opened, data, name=name, encoding=encoding) if data is not None else score_part(opened, split)
        )
    if as_json:
        _print_json({name: asdict(score) for name, score in found.scores.items()})
        return
    out.print(display.scores_table({data or split: found.scores}, confidence=opened.config().evaluation.confidence))
    _show_labels(found.scores, list(found.predictions[0].probabilities))


@app.command()
def predict(
    run: RunFolder,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; left out: lines of standard input.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Read texts from a file, of any format that data.path takes.")
    ] = None,
    name: Format = None,
    encoding: Encoding = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the file that holds the text; left out: as in training.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to FILE.csv, .jsonl or .parquet instead of the screen.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    debug: Debug = False,
) -> None:
    """Label texts, with a probability for every label; a file into a file is streamed, and resumed after a kill."""
    from fintune.bulk import check_output, predict_file
    from fintune.gathering import reading_like
    from fintune.predictor import load
    from fintune.run import Run
    from fintune.table_files import json_line, read_texts, write_predictions

    data = Run.open(run).config().data
    if output is not None:
        check_output(output)
    if file is not None and output is not None and not texts:
        with _working():
            done = predict_file(run, file, output, text_column=text_column, name=name, encoding=encoding)
        _say_bulk(done)
        return
    how = reading_like(data, file or "", name=name, encoding=encoding, need_label=False)
    how = replace(how, columns=replace(how.columns, text=text_column or how.columns.text, date=None, group=None))
    ids, given = read_texts(texts or [], file, how)
    with _working():
        predictions = load(run)(given, ids)
    if output is not None:
        write_predictions(output, predictions)
        err.print(Text(f"predictions written to {output}: {len(predictions):,}"))
    elif as_json:
        sys.stdout.writelines(map(json_line, predictions))
    else:
        out.print(display.predictions_table(predictions))


@app.command()
def tasks(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the tasks."""
    from fintune.tasks import TASKS

    _list([{"name": entry.name, "summary": entry.summary} for entry in TASKS.values()], as_json)


@app.command()
def methods(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the fine-tuning methods."""
    from fintune.methods import METHODS

    _list([method.describe() for method in METHODS.values()], as_json)


@app.command()
def models(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the base models at hand, and the families that are tried out."""
    from fintune.models.families import families
    from fintune.models.listing import models_at_hand

    if as_json:
        _print_json({"at_hand": models_at_hand(), "families": families()})
        return
    _list(models_at_hand(), as_json)
    _list(families(), as_json)


def main() -> None:
    """Entry point: runs a command and turns foreseeable failures into two lines and an exit code."""
    exits.speak_utf8()
    signals.heed_signals()
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            _say("interrupted", "Run it again (train: with --resume to go on where it was); nothing finished is lost.")
        sys.exit(code)
    except signals.Stopped as stopped:
        _say("told to stop", "Run it again (train: with --resume to go on where it was); nothing finished is lost.")
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as failure:
        if _debug or (error := exits.as_error(failure)) is None:
            raise
        _say(error.message, error.hint)
        sys.exit(error.exit_code)


def _say(message: str, hint: str) -> None:
    err.print(Text(f"error: {message}", style="bold red"), soft_wrap=True)
    if hint:
        err.print(Text(f"next:  {hint}"), soft_wrap=True)


@contextmanager
def _working() -> Iterator[None]:
    """Show progress; keep the libraries underneath quiet unless --debug."""
    if not _debug:
        warnings.filterwarnings("ignore")
        from transformers.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with display.progress_bars(err):
        yield


def _say_bulk(done: Any) -> None:
    err.print(Text(f"predictions written to {done.output}: {done.labelled:,}"), soft_wrap=True)
    if done.errors is not None:
        err.print(Text(f"records without a label, see {done.errors}: {done.unreadable:,}"), soft_wrap=True)
    if done.rest_unread:
        raise DataError(
            "the file is damaged, and its rest could not be read", hint=f"See the last lines of {done.errors}."
        )
    if not done.labelled:
        raise DataError("no record could be labelled", hint=f"See {done.errors}.")


def _show_scores(run: Any) -> None:
    config, scores = run.config(), run.scores()
    rows = {f"{config.method.name}, {part}": s for part, s in scores.items()}
    rows |= {f"{name}, {part}": s for name, parts in run.baselines().items() for part, s in parts.items()}
    out.print(display.scores_table(rows, confidence=config.evaluation.confidence))
    _show_labels(list(scores.values())[-1], config.task.labels)


def _show_labels(scores: Scores, labels: Sequence[str]) -> None:
    out.print(display.classes_table(scores, labels), display.confusion_table(scores, labels), display.losses(scores))


def _list(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
    else:
        out.print(display.listing(rows))


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()

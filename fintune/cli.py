"""The commands: flags to one library call to printed lines. Everything else lives in the library.

fintune train run.yaml --set train.epochs=3
fintune predict runs/run "Operating loss narrowed to EUR 2 mn."
"""

import errno
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

from fintune import display
from fintune.errors import BrokenEnvironment, FintuneError, RunError, is_out_of_memory
from fintune.records import Scores

app = typer.Typer(
    name="fintune",
    help="Fine-tune a language model on labelled financial text, with honest scores.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)
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


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("run.yaml"),
    data: Annotated[str | None, typer.Option(help="Fill in data.path.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    debug: Debug = False,
) -> None:
    """Write a commented config with every setting."""
    from fintune.run import need_place, write_atomically
    from fintune.template import template

    if path.exists() and not force:
        raise RunError(f"{path}: exists already", hint="Name another file, or add --force.")
    need_place(path)
    write_atomically(path, template(str(path), data=data))
    out.print(Text(f"wrote {path}\nnext: fintune check {path}"))


@app.command()
def check(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Check config and data, and show what is in them; loads no model."""
    from fintune.config import load
    from fintune.preparation import prepare

    prepared = prepare(load(config, overrides or []))
    if as_json:
        _print_json(asdict(prepared.report) | {"fingerprint": prepared.splits.fingerprint})
        return
    out.print(display.report_table(prepared.report, prepared.splits.fingerprint))
    out.print(Text(f"next: fintune train {config}"))


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train an adapter, score it against baselines, save the run folder."""
    from fintune.pipeline import train as run_all

    with _working():
        run = run_all(config, overrides or [], overwrite=overwrite)
    if as_json:
        _print_json({"run": str(run.folder), **run.raw_scores()})
        return
    _show_scores(run)
    out.print(
        Text(f'run: {run.folder}\nnext: fintune predict {run.folder} "Profit fell 12 % but the outlook was raised."'),
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
        str | None, typer.Option(help="Read texts from a file (csv, jsonl, phrasebank, or a text a line).")
    ] = None,
    name: Format = None,
    encoding: Encoding = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the file that holds the text; left out: as in training.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write to FILE.csv or FILE.jsonl instead of the screen.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    debug: Debug = False,
) -> None:
    """Label texts, with a probability for every label."""
    from fintune.predictor import load
    from fintune.preparation import reading
    from fintune.run import Run, need_place
    from fintune.table_files import json_lines, read_texts, write_predictions

    if output is not None and output.suffix.lower() not in (".csv", ".jsonl"):
        raise RunError(f"--output {output}: unknown kind of file", hint="Name a file that ends in .csv or .jsonl.")
    if output is not None:
        need_place(output)
    how = reading(Run.open(run).config(), file or "", name=name, encoding=encoding, need_label=False)
    how["columns"] = replace(how["columns"], text=text_column or how["columns"].text)
    ids, given = read_texts(texts or [], file, **how)
    with _working():
        predictions = load(run)(given, ids)
    if output is not None:
        write_predictions(output, predictions)
        err.print(Text(f"wrote {len(predictions)} predictions to {output}"))
    elif as_json:
        sys.stdout.write(json_lines(predictions))
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
    """List the base models at hand."""
    from fintune.models.listing import models_at_hand

    _list(models_at_hand(), as_json)


def main() -> None:
    """Entry point: runs a command and turns foreseeable failures into two lines and an exit code."""
    try:
        app()
    except FintuneError as error:
        _fail(error)
    except BrokenPipeError:
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail(
            BrokenEnvironment(
                "out of memory",
                hint="Lower train.micro_batch_tokens, evaluation.batch_size, model.max_length or method.r.",
            )
        )
    except OSError as error:
        _fail(_from_os(error))


def _from_os(error: OSError) -> FintuneError:
    where = f"{str(error.filename)[:200]}: " if error.filename else ""
    if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR):
        return RunError(f"{where}{error.strerror}", hint="Name another path.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BrokenEnvironment(
            f"{where}the disk is full", hint="Free space, or set output to another disk; then run it again."
        )
    return BrokenEnvironment(f"{where}{error.strerror or error}", hint="Check the path and its permissions.")


def _fail(error: FintuneError) -> None:
    if _debug:
        raise error
    err.print(Text(f"error: {error.message}", style="bold red"), soft_wrap=True)
    if error.hint:
        err.print(Text(f"next:  {error.hint}"), soft_wrap=True)
    sys.exit(error.exit_code)


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

"""The commands: flags to one library call to printed lines. Everything else lives in the library.

fintune train run.yaml --set train.epochs=3
fintune predict runs/run "Operating loss narrowed to EUR 2 mn."
"""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from fintune import display, exits, signals, terminal
from fintune.errors import RunError
from fintune.run import typed
from fintune.terminal import err, out, print_json, say, say_bulk, show_labels, show_list, show_scores, working

if TYPE_CHECKING:
    from fintune.data.readers import Reading
    from fintune.engines import Engine
    from fintune.run import Run
    from fintune.trimming import Trimmed

app = typer.Typer(
    name="fintune",
    help="Fine-tune a language model on labelled financial text, with honest scores.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config; fintune init writes one.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/phrasebank-lora.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be repeated.")
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Format of that file; left out: as in training if it ends alike, or found."),
]
EngineName = Annotated[
    str, typer.Option("--engine", help="torch, or int8 on a CPU (checked on the validation texts first).")
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of that file; left out: as in training if it ends alike, or found.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=terminal.set_debug, is_eager=True, help="Show the traceback of an error.")
]


def _load_code(paths: list[Path] | None) -> list[Path] | None:
    from fintune.own_code import load_code

    for path in paths or ():
        load_code(path)
    return paths


Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        callback=_load_code,
        is_eager=True,
        help="A Python file with methods or tasks of yours.",
    ),
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
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Check config and data, and say all that is wrong with them; exit code 1 when something is severe."""
    from fintune.config import load
    from fintune.examination import examine

    with working():
        found = examine(
            load(config, overrides or []), against=against, pii=pii, near_duplicates=near_duplicates, doubt=doubt
        )
    if as_json:
        print_json(found.record())
    else:
        for table in display.examination(found):
            out.print(table)
        out.print(Text(f"next: fintune train {typed(config)}" if not found.severe else "next: mend what is severe"))
    if found.severe:
        sys.exit(1)


@app.command()
def plan(
    config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False, code: Code = None, debug: Debug = False
) -> None:
    """Estimate memory and time of a run from ten of its steps; exit code 1 when the memory will not do."""
    from fintune.planning import plan as estimate

    with working():
        found = estimate(config, overrides or [])
    if as_json:
        print_json(found.record())
    else:
        out.print(display.estimate(found))
        out.print(
            Text(f"next: fintune train {typed(config)}" if found.fits else "next: lower train.micro_batch_tokens")
        )
    if not found.fits:
        sys.exit(1)


@app.command()
def trim(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the smaller model.")],
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", help="More texts to keep tokens for: a text file, a text a line.")
    ] = None,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a trimmed model there.")] = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Make the base model smaller: keep the tokens its data, template and labels need, proved equal on them."""
    from fintune.trimming import trim as make

    with working():
        found = make(config, overrides or [], output=output, corpus=corpus or [], overwrite=overwrite)
    _show_smaller(found, typed(config), as_json)


@app.command()
def prune(
    model: Annotated[str, typer.Argument(help="embedded, a folder, a .gguf file or a hub id; causal.")],
    layers: Annotated[int, typer.Option("--layers", "-n", help="Blocks to keep, the lowest ones.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the smaller model.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace such a model there.")] = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Make a model faster: read its answer out after fewer blocks. Train an adapter on it to heal it."""
    from fintune.trimming import prune as make

    with working():
        found = make(model, layers=layers, output=output, overwrite=overwrite)
    _show_smaller(found, "CONFIG", as_json)


def _show_smaller(found: "Trimmed", config: str, as_json: bool) -> None:
    if as_json:
        print_json(found.record())
        return
    out.print(display.trimmed(found))
    out.print(Text(f"next: fintune train {config} --set model.base={typed(Path(found.folder))}"))


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run; its adapter ends the same.")
    ] = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Train an adapter, score it against baselines, save the run folder."""
    from fintune.pipeline import train as run_all

    with working():
        run = run_all(config, overrides or [], overwrite=overwrite, resume=resume)
    if as_json:
        print_json({"run": str(run.folder), **run.raw_scores()})
        return
    show_scores(run)
    out.print(
        Text(
            f'run: {run.folder}\nnext: fintune predict {typed(run.folder)} "Profit fell 12 % but the outlook was raised."'
        ),
        soft_wrap=True,
    )


@app.command()
def compare(
    config: ConfigFile,
    methods: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Methods, or labels of compare.methods; left out: all of these."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs of each method; left out: compare.seeds.")] = None,
    sizes: Annotated[
        str | None, typer.Option(metavar="N,...", help="Sizes of the train part, for a learning curve.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="validation, or test once everything is chosen.")] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING,...",
            help="Search these settings of each method instead, on validation: learning_rate,r or r=4:64; needs fintune[search].",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Runs of a search, those made before among them.")] = 20,
    overrides: Overrides = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train methods on the same data with several seeds, and say which differences are real; what is finished is reused."""
    from fintune.comparison import compare as run_all
    from fintune.comparison.search import search as try_out

    chosen = terminal.split_list(methods)
    if search is not None:
        with working():
            tried = try_out(
                config, overrides or [], settings=terminal.split_list(search) or [], methods=chosen, trials=trials
            )
        terminal.show_search(tried, as_json)
        return
    with working():
        numbers = terminal.split_numbers("--sizes", sizes)
        done = run_all(config, overrides or [], methods=chosen, seeds=seeds, sizes=numbers, part=part)
    terminal.show_comparison(done, as_json)


@app.command()
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Part of the run's own data: train, validation or test.")] = "test",
    data: Annotated[str | None, typer.Option(help="Score another labelled file instead; nothing is stored.")] = None,
    name: Format = None,
    encoding: Encoding = None,
    engine: EngineName = "torch",
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Score a run's adapter on one of its parts, or on another labelled file; with another engine nothing is stored."""
    from fintune.pipeline import score_file, score_part
    from fintune.run import Run

    opened = Run.open(run)
    if split not in opened.data()["ids"]:
        raise RunError(f"--split {split}: not a part of this run", hint=f"Parts: {', '.join(opened.data()['ids'])}.")
    with working():
        if data is not None:
            found = score_file(opened, data, name=name, encoding=encoding, running=_running(opened, engine))
        else:
            found = score_part(opened, split, running=_running(opened, engine))
    if as_json:
        print_json({name: asdict(score) for name, score in found.scores.items()})
        return
    out.print(display.scores_table({data or split: found.scores}, confidence=opened.config().evaluation.confidence))
    show_labels(found.scores, list(found.predictions[0].probabilities))


def _running(run: "Run", engine: str) -> "Engine | None":
    """The engine to score with; None: the run's own, the adapter as it was saved."""
    from fintune.opening import open_engine

    return None if engine == "torch" else open_engine(run, engine)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, or the folder of a comparison.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page; left out: report.html in the folder, or here for several."),
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Leave the texts of the data out; their ids stay.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write runs or a comparison as one HTML page that opens anywhere, without a network."""
    from fintune.report import write_report

    with working():
        page = write_report(runs, output, texts=not no_texts)
    out.print(Text(f"wrote {page}\nnext: open it in a browser"), soft_wrap=True)


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
    engine: EngineName = "torch",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Label texts, with a probability for every label; a file into a file is streamed, and resumed after a kill."""
    from fintune.bulk import check_output, predict_file
    from fintune.engines.registry import entry_of
    from fintune.gathering import reading_like
    from fintune.predictor import load
    from fintune.run import Run
    from fintune.table_files import json_line, read_texts, write_predictions

    entry_of(engine)
    data = Run.open(run).config().data
    if output is not None:
        check_output(output)
    if file is not None and output is not None and not texts:
        with working():
            done = predict_file(
                run, file, output, text_column=text_column, name=name, encoding=encoding, engine_name=engine
            )
        say_bulk(done)
        return
    how = reading_like(data, file or "", name=name, encoding=encoding, need_label=False)
    ids, given = read_texts(texts or [], file, _texts_alone(how, text_column))
    with working():
        predictions = load(run, engine_name=engine)(given, ids)
    if output is not None:
        write_predictions(output, predictions)
        err.print(Text(f"predictions written to {output}: {len(predictions):,}"))
    elif as_json:
        sys.stdout.writelines(map(json_line, predictions))
    else:
        out.print(display.predictions_table(predictions))


def _texts_alone(how: "Reading", text_column: str | None = None) -> "Reading":
    """The same reading, of no other column than that of the text."""
    return replace(how, columns=replace(how.columns, text=text_column or how.columns.text, date=None, group=None))


@app.command()
def explain(
    run: RunFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts; left out, without --file: the run's confident mistakes and uncertain texts."),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Read texts from a file, of any format that data.path takes.")
    ] = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show which words moved the answer: by how much its probability falls without each (not a cause)."""
    from fintune.explaining import explain as explain_texts
    from fintune.explaining import explain_run
    from fintune.gathering import reading_like
    from fintune.run import Run
    from fintune.table_files import read_texts

    opened = Run.open(run)
    ids: list[str] = []
    given: list[str] = []
    if texts or file is not None:
        how = _texts_alone(reading_like(opened.config().data, file or "", need_label=False))
        ids, given = read_texts(texts or [], file, how)
    with working():
        found = explain_texts(opened, given, ids) if given else explain_run(opened)
    if as_json:
        print_json([attribution.record() for attribution in found])
        return
    out.print(*display.attributions(found), sep="\n", soft_wrap=True)


@app.command()
def tasks(as_json: AsJson = False, code: Code = None, debug: Debug = False) -> None:
    """List the tasks."""
    from fintune.tasks import TASKS

    show_list([{"name": entry.name, "summary": entry.summary} for entry in TASKS.values()], as_json)


@app.command()
def methods(as_json: AsJson = False, code: Code = None, debug: Debug = False) -> None:
    """List the fine-tuning methods."""
    from fintune.methods import METHODS

    show_list([method.describe() for method in METHODS.values()], as_json)


@app.command()
def models(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the base models at hand, and the families that are tried out."""
    from fintune.models.families import families
    from fintune.models.listing import models_at_hand

    if as_json:
        print_json({"at_hand": models_at_hand(), "families": families()})
        return
    show_list(models_at_hand(), as_json)
    show_list(families(), as_json)


def main() -> None:
    """Entry point: runs a command and turns foreseeable failures into two lines and an exit code."""
    exits.speak_utf8()
    signals.heed_signals()
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            say("interrupted", "Run it again (train: with --resume to go on where it was); nothing finished is lost.")
        sys.exit(code)
    except signals.Stopped as stopped:
        say("told to stop", "Run it again (train: with --resume to go on where it was); nothing finished is lost.")
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as failure:
        if terminal.debugging() or (error := exits.as_error(failure)) is None:
            raise
        say(error.message, error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

"""Commands for train and compare."""

import shlex
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli import output
from fintune.cli.options import AsJson, Code, ConfigFile, ConfigOrData, Debug, Overrides
from fintune.cli.output import out, print_json, show_scores, working
from fintune.cli.sources import config_source
from fintune.errors import UsageError
from fintune.runtime.layout import Text
from fintune.runtime.printable import one_line
from fintune.runtime.shell import typed

if TYPE_CHECKING:
    from fintune.runs.run import Run

_LOOKED_AT, _LONGEST = 20, 60
"""Validation texts looked at for the next command, and characters of one."""


def train(
    sources: ConfigOrData,
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
    from fintune.training.train import train as run_all

    source = config_source(sources, overrides)
    with working():
        run = run_all(source, overrides or [], overwrite=overwrite, resume=resume)
    if as_json:
        print_json({"run": str(run.folder), **run.raw_scores()})
        return
    show_scores(run)
    from fintune.config.plugins import typed_code

    onward = f"fintune predict {typed(run.folder)} {_a_text_of(run)}{typed_code()}"
    if run.claims().learned_nothing:
        onward = f"fintune report {typed(run.folder)}{typed_code()} shows how training went; then train again with other settings"
    out.print(Text(f"run: {run.folder}\nnext: {onward}"), soft_wrap=True)


def _a_text_of(run: "Run") -> str:
    """Return the beginning of a validation text, as one types it; a file where none is fit, or the prompt reads other columns."""
    from fintune.records import TEXT
    from fintune.tasks.protocol import asked_fields

    is_one_text = asked_fields(run.config().build_task()) == (TEXT,)
    for prediction in run.predictions("validation")[:_LOOKED_AT] if is_one_text else ():
        text = textwrap.shorten(prediction.text, _LONGEST, placeholder=" ...")
        if text not in ("", "...") and text == one_line(text) and not text.startswith("-"):
            return shlex.quote(text)
    return "--file FILE"


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
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs at a time, each in a process with its share of the CPU threads.")
    ] = 1,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING,...",
            help="Search these settings of each method instead, on validation: learning_rate,r or r=4:64; needs fintune\\[search].",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Runs of a search, those made before among them.")] = 20,
    overrides: Overrides = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Train methods on the same data with several seeds, and say which differences are real; what is finished is reused."""
    from fintune.comparison.compare import compare as run_all
    from fintune.comparison.search import search as try_out

    chosen = output.split_list(methods)
    if search is not None:
        flags = {"--seeds": seeds, "--sizes": sizes, "--part": part, "--jobs": None if jobs == 1 else jobs}
        if extra := [flag for flag, value in flags.items() if value is not None]:
            raise UsageError(f"{extra[0]} does not go with --search", hint=f"Leave {extra[0]} out.")
        with working():
            tried = try_out(
                config, overrides or [], settings=output.split_list(search) or [], methods=chosen, trials=trials
            )
        output.show_search(tried, as_json)
        return
    with working():
        numbers = output.split_numbers("--sizes", sizes)
        done = run_all(config, overrides or [], methods=chosen, seeds=seeds, sizes=numbers, part=part, jobs=jobs)
    output.show_comparison(done, as_json)

"""Commands for before a run: init, check, plan."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fintune.cli.options import AsJson, Code, ConfigFile, ConfigOrData, Debug, Overrides
from fintune.cli.output import out, print_json, working
from fintune.cli.sources import config_source, look_into
from fintune.errors import RunError
from fintune.runtime.layout import Text
from fintune.runtime.shell import typed


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("run.yaml"),
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Look into these files of labeled text, and write what they come to, with why."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="The task, one of: fintune tasks; left out: found, or sentiment."),
    ] = None,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    debug: Debug = False,
) -> None:
    """Write a commented config with every setting."""
    from fintune.config.load import unchecked
    from fintune.config.mistaken import is_data, mistaken_for_config
    from fintune.config.template import filled_in, template
    from fintune.runtime.files import need_place, write_atomically

    if path.is_dir() or (path.is_file() and is_data(path)):
        what, hint = mistaken_for_config(path) or (f"{path}: not a plain file", "Name a .yaml file.")
        raise RunError(what, hint=hint)
    if path.exists() and not force:
        raise RunError(f"{path}: exists already", hint="Name another file, or add --force.")
    need_place(path)
    overrides = [*([f"task.name={task}"] if task is not None else []), *(overrides or ())]
    if data:
        found = look_into(data, overrides)
        text = template(str(path), written=found.written, why=found.reasons)
    else:
        text = template(str(path), written=filled_in(unchecked({}, overrides)))
    write_atomically(path, text)
    out.print(Text(f"wrote {path}\nnext: fintune check {typed(path)}"), soft_wrap=True)


def check(
    sources: ConfigOrData,
    overrides: Overrides = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Compare with another file: shared texts, and their labels there."),
    ] = None,
    pii: Annotated[bool, typer.Option("--pii", help="Look for personal data; needs fintune\\[pii].")] = False,
    near_duplicates: Annotated[
        bool, typer.Option(help="Look for near-duplicates; the split is by single rows without.")
    ] = True,
    doubt: Annotated[bool, typer.Option(help="List labels that the other rows contradict.")] = True,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Check config and data, and say all that is wrong with them; exit code 1 when something is severe."""
    from fintune.config.load import load
    from fintune.training.check import examine

    source = config_source(sources, overrides)
    with working(models=False):
        examination = examine(
            load(source, overrides or []), against=against, pii=pii, near_duplicates=near_duplicates, doubt=doubt
        )
    if as_json:
        print_json(examination.record())
    else:
        from fintune.data.table import examination as tables

        for part in tables(examination):
            if isinstance(part, Text):
                out.sentence(part)
            else:
                out.print(part)
        onward = _train(sources, overrides) if not examination.severe else "next: mend what is severe"
        out.print(Text(onward), soft_wrap=True)
    if examination.severe:
        sys.exit(1)


def _train(sources: Sequence[str | Path], overrides: list[str] | None) -> str:
    from fintune.config.plugins import typed_code

    words = ["next: fintune train", *map(typed, sources), *(f"--set {shlex.quote(one)}" for one in overrides or ())]
    return " ".join(words) + typed_code()


def plan(
    config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False, code: Code = None, debug: Debug = False
) -> None:
    """Estimate memory and time of a run from ten of its steps; exit code 1 when the memory will not do."""
    from fintune.training.plan import plan as estimated
    from fintune.training.table import estimate_table

    with working():
        estimate = estimated(config, overrides or [])
    if as_json:
        print_json(estimate.record())
    else:
        out.print(estimate_table(estimate))
        onward = _train([config], overrides) if estimate.fits else "next: lower train.micro_batch_tokens"
        out.print(Text(onward), soft_wrap=True)
    if not estimate.fits:
        sys.exit(1)

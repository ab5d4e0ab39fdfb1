"""Commands for what there is: tasks, methods, models, and what a path holds."""

from pathlib import Path
from typing import Annotated

import typer

from fintune.cli.options import AsJson, Code, Debug
from fintune.cli.output import out, print_json, show_list, working
from fintune.errors import UsageError, did_you_mean
from fintune.runtime.layout import Text


def tasks(as_json: AsJson = False, code: Code = None, debug: Debug = False) -> None:
    """List the tasks."""
    from fintune.tasks import TASKS

    show_list([{"name": entry.name, "summary": entry.summary} for entry in TASKS.values()], as_json)


def methods(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="All about this one, with its settings.")] = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """List the fine-tuning methods."""
    from fintune.methods import METHODS

    if name is None:
        show_list([m.describe() if as_json else m.brief() for m in METHODS.values()], as_json)
        if not as_json:
            out.print(
                Text("next: fintune methods lora shows one with its settings; docs/reference/methods.md shows all")
            )
        return
    if name not in METHODS:
        raise UsageError(f"no method '{name}'. {did_you_mean(name, METHODS)}", hint="All of them: fintune methods.")
    method = METHODS[name]
    if as_json:
        print_json(method.describe() | {"settings": method.settings()})
        return
    show_list([{"": key, " ": value} for key, value in method.describe().items()])
    show_list(method.settings())


def models(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the base models at hand, and the families that are tried out."""
    from fintune.models.families import families
    from fintune.models.listing import models_at_hand

    if as_json:
        print_json({"at_hand": models_at_hand(), "families": families()})
        return
    show_list(models_at_hand(), as_json)
    show_list(families(), as_json)


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A run, an export, an adapter (or a kept one's name), a model folder, a .gguf file.")
    ],
    base: Annotated[str | None, typer.Option(help="Of an adapter: say whether it fits this base model.")] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read every byte again; compare a run with what was scored, an export with what was proved.",
        ),
    ] = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Show what a path holds: base, method, ranks, sizes, hashes, data, licenses; no weights are loaded."""
    from fintune.runs.adapter_store import place_of
    from fintune.runs.inspect_path import inspect as read
    from fintune.runs.inspect_path import lines

    with working():
        found = read(place_of(path), base=base, verify=verify)
    show_list([{"": name, " ": value} for name, value in lines(found)]) if not as_json else print_json(found)

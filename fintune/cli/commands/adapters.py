"""`fintune adapters`: add, list, remove."""

from pathlib import Path
from typing import Annotated

import typer

from fintune.cli.options import AsJson, Code, Debug
from fintune.cli.output import err, out, print_json, show_list
from fintune.runtime.layout import Text
from fintune.runtime.shell import typed

SUMMARY = "Keep adapters in one place of this machine, by content."
app = typer.Typer(
    name="adapters", help=SUMMARY, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.command()
def add(
    source: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a bare adapter folder.")],
    name: Annotated[str | None, typer.Option(help="What to call it; left out: the folder's name.")] = None,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Copy a run's adapter, with what it takes to use it; the same content is kept once."""
    from fintune.models.references import at_hand
    from fintune.runs.adapter_store import add as keep

    kept = keep(source, name=name)
    if as_json:
        print_json(kept.record())
        return
    if name not in (None, kept.name):
        err.print(Text(f"the same is there already, as {kept.name}"))
    out.print(Text(f"{kept.id}  {kept.name}"))
    base = f" --base {typed(Path(kept.base)) if kept.base and at_hand(kept.base) else 'FOLDER'}"
    use = "" if kept.kind == "run" else f"{base} --task sentiment"
    out.print(Text(f"next: fintune predict {typed(Path(kept.name))} --file FILE{use}"), soft_wrap=True)


@app.command(name="list")
def list_all(as_json: AsJson = False, debug: Debug = False) -> None:
    """List them."""
    from fintune.runs.adapter_store import damaged, listed

    for path in damaged():
        err.print(Text(f"damaged: {path} (add the adapter again, or delete the folder)"), soft_wrap=True)
    records = [kept.record() for kept in listed()]
    if as_json or records:
        show_list(
            records if as_json else [{k: kept[k] for k in ("id", "name", "method", "base")} for kept in records],
            as_json,
        )
    else:
        out.print(Text("none yet; next: fintune adapters add RUN"))


@app.command()
def remove(
    what: Annotated[str, typer.Argument(metavar="NAME", help="A name, or the beginning of an id.")],
    debug: Debug = False,
) -> None:
    """Take one out."""
    from fintune.runs.adapter_store import remove as take_out

    kept = take_out(what)
    out.print(Text(f"removed {kept.id}  {kept.name}"))

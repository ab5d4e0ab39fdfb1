"""Commands for a smaller base model: trim, prune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli.options import AsJson, Code, ConfigFile, Debug, Overrides
from fintune.cli.output import out, print_json, working
from fintune.runtime.layout import Text
from fintune.runtime.shell import typed

if TYPE_CHECKING:
    from fintune.compression.trim import Trimmed


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
    from fintune.compression.trim import trim as make

    with working():
        smaller = make(config, overrides or [], output=output, corpus=corpus or [], overwrite=overwrite)
    _show_smaller(smaller, typed(config), as_json)


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
    from fintune.compression.prune import prune as make

    with working():
        smaller = make(model, layers=layers, output=output, overwrite=overwrite)
    _show_smaller(smaller, "CONFIG", as_json)


def _show_smaller(smaller: "Trimmed", config: str, as_json: bool) -> None:
    if as_json:
        print_json(smaller.record())
        return
    from fintune.compression.table import trimmed

    out.print(trimmed(smaller))
    out.print(Text(f"next: fintune train {config} --set model.base={typed(Path(smaller.folder))}"))

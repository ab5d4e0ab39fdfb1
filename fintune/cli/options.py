"""Arguments and flags that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from fintune.cli import output
from fintune.errors import UsageError

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config; fintune init writes one.")]
ConfigOrData = Annotated[
    list[str],
    typer.Argument(metavar="CONFIG|DATA...", help="A YAML config, or files of labeled text, which are looked into."),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/phrasebank-lora.")]
TrainedSource = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run folder, such as runs/phrasebank-lora, an export's, an adapter's (with --base and --task), or a kept adapter's name.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        help="The base model: of an adapter trained elsewhere, left out: the one it names; of a run whose base has moved."
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK", help="Of such an adapter: a task's name, or a YAML file with a section task."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Of such an adapter: a setting; data.key=value says how the file that is named is read. May be repeated.",
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be repeated.")
]
FormatName = Annotated[
    str | None,
    typer.Option("--format", help="Format of that file; left out: as in training if it ends alike, or found."),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine", help="torch, int8 on a CPU (checked on the validation texts first), or one of the run's exports."
    ),
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of that file; left out: as in training if it ends alike, or found.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=output.set_debug, is_eager=True, help="Show the traceback of an error.")
]


def share(written: str) -> float:
    """Return a share as people write it: 1%, 0.01. Raises UsageError for what is none between 0 and 1."""
    text = written.strip()
    try:
        value = round(float(text[:-1]) / 100, 12) if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"'{written}': no share between 0 and 1", hint="Write 1% or 0.01.")
    return value


def load_own_code(context: typer.Context, paths: list[Path] | None) -> list[Path] | None:
    """Run the files of --code before anything else is read; not for a shell that completes the line."""
    from fintune.config.plugins import load_code

    if context.resilient_parsing:
        return paths
    for path in paths or ():
        load_code(path)
    return paths


Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        callback=load_own_code,
        is_eager=True,
        help="A Python file with methods or tasks of yours.",
    ),
]

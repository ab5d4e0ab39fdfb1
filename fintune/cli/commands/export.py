"""Commands between FinTune and other programs: merge, export, convert."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from fintune.cli.options import AsJson, Base, Code, Debug, Settings, TaskOption
from fintune.cli.output import out, print_json, working
from fintune.errors import UsageError
from fintune.export.names import FORMAT_NAMES, How
from fintune.runtime.layout import Text
from fintune.runtime.shell import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintune.export.export import Exported, Refused

RunOrAdapter = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run folder, such as runs/phrasebank-lora, or an adapter's (with --base, --task and --data).",
    ),
]
ProvedOn = Annotated[
    str | None,
    typer.Option(
        "--data", help="Of an adapter trained elsewhere: a file of texts on which the result is compared with it."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write; left out: in the run's exports/.")
]
Dtype = Annotated[str | None, typer.Option(help="Precision of the weights; left out: that of the format.")]
AllowLoss = Annotated[
    bool, typer.Option("--allow-loss", help="Write it though rounding changes more than 0.5 % of the answers.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an export there.")]


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="A run folder; several are combined (--combine).")],
    output: Output = None,
    dtype: Dtype = None,
    weights: Annotated[str | None, typer.Option(metavar="W,...", help="Of several runs; left out: equal ones.")] = None,
    combine: Annotated[
        str | None, typer.Option(help=f"How several become one: {', '.join(get_args(How))}; left out: cat.")
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="Share of the values that ties and dare keep; left out: 0.5.")
    ] = None,
    base: Base = None,
    task: TaskOption = None,
    settings: Settings = None,
    data: ProvedOn = None,
    allow_loss: AllowLoss = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Write adapter and base model as one plain Hugging Face folder, proved to give the answers that were scored."""
    from fintune.export.combine import export_combined
    from fintune.export.export import export as make
    from fintune.inference.foreign import Proof

    use = Proof(base=base, task=task, overrides=settings or (), data=data)
    with working():
        if len(runs) == 1:
            options = {"--weights": weights, "--combine": combine, "--density": density}
            if flags := [flag for flag, value in options.items() if value is not None]:
                raise UsageError(f"{flags[0]}: there is one run", hint="Name several runs, or leave it out.")
            exported = make(
                runs[0], "merged", dtype=dtype, output=output, allow_loss=allow_loss, overwrite=overwrite, **use
            )
        elif output is None:
            raise UsageError("--output: is needed for several runs", hint="Name a folder: -o FOLDER")
        else:
            if any(use.values()):
                raise UsageError(
                    "--base, --task, --set, --data: are for one adapter trained elsewhere",
                    hint="Combine runs, or name one.",
                )
            shares = _numbers(weights) if weights else [1 / len(runs)] * len(runs)
            exported = export_combined(
                runs, shares, combine or "cat", density=0.5 if density is None else density, output=output, dtype=dtype,
                allow_loss=allow_loss, overwrite=overwrite,
            )  # fmt: skip
    _show([exported], as_json)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--weights {text}: not numbers with commas between", hint="Such as: --weights 0.7,0.3"
        ) from None


def export(
    run: RunOrAdapter,
    format_name: Annotated[
        str | None, typer.Option("--format", help=f"One of {', '.join(FORMAT_NAMES)}; left out: merged.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every format in every precision, and a table of what each costs.")
    ] = False,
    table: Annotated[bool, typer.Option("--table", help="Print the table as Markdown.")] = False,
    output: Output = None,
    dtype: Dtype = None,
    base: Base = None,
    task: TaskOption = None,
    settings: Settings = None,
    data: ProvedOn = None,
    allow_loss: AllowLoss = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Write a run in another program's format, proved on its validation texts; an adapter trained elsewhere on a file of texts."""
    from fintune.export.export import export as make
    from fintune.export.export import export_all
    from fintune.inference.foreign import Proof

    use = Proof(base=base, task=task, overrides=settings or (), data=data)
    if everything and (format_name or dtype or output):
        raise UsageError("--all: takes neither --format, --dtype nor --output", hint="Leave one or the other out.")
    with working():
        if everything:
            exports = export_all(run, allow_loss=allow_loss, overwrite=overwrite, **use)
        else:
            exports = [
                make(
                    run,
                    format_name or "merged",
                    dtype=dtype,
                    output=output,
                    allow_loss=allow_loss,
                    overwrite=overwrite,
                    **use,
                )
            ]
    _show(exports, as_json, table)


def convert(
    source: Annotated[Path, typer.Argument(help="A folder of Meta's LLaMA (consolidated.*.pth), or a .gguf file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a model of another layout as a Hugging Face folder, which model.base takes."""
    from fintune.models.convert import convert as make

    with working():
        converted = make(source, output=output)
    if as_json:
        print_json(converted.record())
        return
    out.print(Text(f"{converted.layout} · {converted.parameters:,} parameters · {converted.bytes / 1e6:,.0f} MB"))
    out.print(Text(f"next: fintune train CONFIG --set model.base={typed(Path(converted.folder))}"))


def _show(exports: "Sequence[Exported | Refused]", as_json: bool, as_markdown: bool = False) -> None:
    if as_json:
        records = [export.record() for export in exports]
        print_json(records[0] if len(exports) == 1 else records)
        return
    from fintune.export.export import Exported, Refused
    from fintune.export.table import exports as exports_table
    from fintune.export.table import markdown

    table = exports_table(exports)
    out.print(Text(markdown(table)) if as_markdown else table, soft_wrap=as_markdown)
    for refused in (export for export in exports if isinstance(export, Refused)):
        what = f"{refused.format}, {refused.dtype}"
        reason = refused.reason.removeprefix(f"{what}: ")
        out.print(Text(f"{what}: {reason}"), soft_wrap=True)
    folders = [typed(export.folder) for export in exports if isinstance(export, Exported)]
    if not folders:
        raise typer.Exit(2)
    out.print(Text(f"in {', '.join(folders)}"), soft_wrap=True)

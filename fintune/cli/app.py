"""Entry point of the commands: what `fintune` on a command line is.

fintune train run.yaml --set train.epochs=3
fintune predict runs/run "Operating loss narrowed to EUR 2 mn."
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from fintune.cli import errors, output
from fintune.cli.deferred import DeferringGroup
from fintune.cli.output import out, say
from fintune.cli.screen import guard_streams
from fintune.errors import FintuneError
from fintune.runtime import signals

app = typer.Typer(
    name="fintune",
    cls=DeferringGroup,
    help="Fine-tune a language model on labeled financial text, with honest scores.",
    add_completion=True,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130
_AGAIN = "Run it again (train: with --resume to go on where it was); nothing finished is lost."


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    asks_version: Annotated[bool, typer.Option("--version", help="Say which FinTune this is, and end.")] = False,
) -> None:
    if asks_version:
        out.print(version("fintune"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        out.print(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Entry point: runs a command and turns foreseeable failures into two lines and an exit code."""
    errors.speak_utf8()
    guard_streams()
    signals.heed_signals()
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            say(FintuneError("interrupted", hint=_AGAIN))
        sys.exit(code)
    except signals.Stopped as stopped:
        say(FintuneError("told to stop", hint=_AGAIN))
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as failure:
        if output.debugging() or (error := errors.as_error(failure)) is None:
            raise
        say(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

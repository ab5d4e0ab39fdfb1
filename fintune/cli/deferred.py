"""Commands whose arguments and options are made when one of them is called: the list of all needs their names and first lines alone.

Typer reads the signature of every command before it answers anything, `--help` too; that took a third of its time.

>>> app = typer.Typer(cls=DeferringGroup)
"""

from collections.abc import Callable
from functools import cached_property, partial
from inspect import getdoc
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from fintune.cli.commands import COMMANDS, adapters

if TYPE_CHECKING:
    from typer._click.core import Context


class DeferredCommand(TyperCommand):
    """A command as lists show it; `full` is the one that runs."""

    def __init__(self, name: str, summary: str | None, build: Callable[[], typer.Typer]) -> None:
        super().__init__(name, help=summary)
        self._build = build

    @cached_property
    def full(self) -> TyperCommand | TyperGroup:
        """The command with its arguments and options, or the group with its commands."""
        command = get_command(self._build())
        assert isinstance(command, TyperCommand | TyperGroup)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: "Context | None" = None, **extra: object
    ) -> "Context":
        """Return the context of the full command, which is what runs in it."""
        settings: dict[str, Any] = extra
        return self.full.make_context(info_name, args, parent, **settings)


class DeferringGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update(_deferred())


def _deferred() -> dict[str, DeferredCommand]:
    """Return every command by name, in the order in which --help lists them."""
    commands = {one.__name__: DeferredCommand(one.__name__, getdoc(one), partial(_alone, one)) for one in COMMANDS}
    return commands | {"adapters": DeferredCommand("adapters", adapters.SUMMARY, lambda: adapters.app)}


def _alone(command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app

"""Writes what the docs derive from elsewhere: the reference from the code, the packages in the README, and what docs/drawn.py draws.

python docs/generate.py            writes them
python docs/generate.py --check    exits 1 when one is out of date
"""

import ast
import sys
import tomllib
from pathlib import Path
from typing import Any

import typer.main
from drawn import decision_list, log_table, result_tables

from fintune.cli.app import app
from fintune.config.template import template
from fintune.export.registry import FORMATS
from fintune.inference.engines.registry import ENGINES
from fintune.methods import METHODS
from fintune.methods.protocol import described
from fintune.models.families import FAMILIES
from fintune.tasks import TASKS
from fintune.tasks.baselines import BASELINES

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- written by docs/generate.py; do not edit -->\n\n"
BEGIN, END = "<!-- generated -->", "<!-- /generated -->"
BRACKET = "\\["  # as rich wants it in a terminal


def cli() -> str:
    """Every command with its arguments and options."""
    command: Any = typer.main.get_command(app)
    parts = [f"# Commands\n\n{NOTE}{command.help}\n"]
    commands = {name: deferred.full for name, deferred in command.commands.items()}
    groups = {name: getattr(sub, "commands", None) for name, sub in commands.items()}
    flat = {
        full: inner
        for name, sub in commands.items()
        for full, inner in (
            {f"{name} {n}": s for n, s in groups[name].items()} if groups[name] else {name: sub}
        ).items()
    }
    for name, sub in flat.items():
        shown = " ".join([f"fintune {name}", *(_metavar(p) for p in _arguments(sub))])
        parts.append(f"## {name}\n\n{sub.help}\n\n    {shown}\n")
        helped: list[Any] = [p for p in sub.params if getattr(p, "help", None)]
        rows = [f"| `{_name(p)}` | {p.help.replace(BRACKET, '[')} |" for p in helped]
        parts.append("| | |\n|---|---|\n" + "\n".join(rows) + "\n")
    parts.append(
        "Exit codes: 0 done; 1 broken environment (disk full, package missing); 2 a mistake in input; 130 interrupted.\n"
    )
    return "\n".join(parts)


def methods() -> str:
    """The registry of methods as a table, and each one's settings."""
    parts = [f"# Methods\n\n{NOTE}", _table([method.describe() for method in METHODS.values()])]
    for method in METHODS.values():
        parts.append(f"## Settings of `{method.name}`\n\n{_settings(method.options)}")
    return "\n".join(parts)


def tasks() -> str:
    """The registries of tasks and baselines as tables, and the settings of each task."""
    parts = [f"# Tasks and baselines\n\n{NOTE}## Tasks\n"]
    parts.append(_table([{"name": task.name, "summary": task.summary} for task in TASKS.values()]))
    for task in TASKS.values():
        parts.append(f"### Settings of `{task.name}`\n\n{_settings(task.options)}")
    parts.append("## Baselines (`evaluation.baselines`)\n\n" + _table([b.describe() for b in BASELINES.values()]))
    return "\n".join(parts)


def formats() -> str:
    """The registries of export formats, engines and model families as tables."""
    return "\n".join(
        [
            f"# Export formats and engines\n\n{NOTE}What they are for and how they are proved: [guide to exports](../guides/export.md).\n",
            "## Formats (`fintune export --format`)\n\n" + _table([form.describe() for form in FORMATS.values()]),
            "## Engines (`--engine`), beside a run's exports\n\n" + _table([e.describe() for e in ENGINES.values()]),
            "## Model families that are tried out (`fintune models`)\n\n" + _table([f.describe() for f in FAMILIES]),
        ]
    )


def config() -> str:
    """The commented config that `fintune init` writes."""
    return (
        f"# Settings\n\n{NOTE}What `fintune init` writes: every setting with its default.\n\n```yaml\n{template()}```\n"
    )


def packages() -> str:
    """Every package with the first line of its docstring, from the floor that imports all others down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    floors = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    names = [name.strip() for floor in floors for name in floor.split("|")]
    return "\n".join(f"- `{name}`: {_purpose(name)}" for name in names)


def pages() -> dict[str, str]:
    """Every file with what it should hold."""
    return {
        "docs/reference/cli.md": cli(),
        "docs/reference/config.md": config(),
        "docs/reference/formats.md": formats(),
        "docs/reference/methods.md": methods(),
        "docs/reference/tasks.md": tasks(),
        "docs/benchmarks/results.md": _filled("docs/benchmarks/results.md", result_tables(ROOT / "benchmarks/results")),
        "docs/design/decisions/index.md": _filled(
            "docs/design/decisions/index.md", decision_list(ROOT / "docs/design/decisions")
        ),
        "docs/log/index.md": _filled("docs/log/index.md", log_table(ROOT / "docs/log")),
        "README.md": _filled("README.md", packages()),
    }


def main(check: bool) -> int:
    """Write what is out of date, or name it; return the exit code."""
    wanted = pages()
    stale = [
        n for n, text in wanted.items() if not (ROOT / n).is_file() or (ROOT / n).read_text(encoding="utf-8") != text
    ]
    for name in stale:
        if check:
            print(f"{name} is out of date; run: make docs")
        else:
            (ROOT / name).write_text(wanted[name], encoding="utf-8")
    return int(check and bool(stale))


def _filled(name: str, content: str) -> str:
    """A page by hand with the part between its two marks written anew."""
    before, _, rest = (ROOT / name).read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{rest.partition(END)[2]}"


def _purpose(name: str) -> str:
    """The first line of the docstring of a package or module."""
    place = ROOT / "fintune" / name
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n")[0]


def _arguments(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def _metavar(param: Any) -> str:
    shown = param.metavar or param.name.upper()
    return f"{shown}..." if param.nargs == -1 else shown if param.required else f"[{shown}]"


def _name(param: Any) -> str:
    return _metavar(param) if param.param_type_name == "argument" else ", ".join(param.opts)


def _settings(options: Any) -> str:
    rows = [
        row | {key: f"`{row[key]}`" for key in ("setting", "default") if row[key] != "must be set"}
        for row in described(options)
    ]
    return _table(rows).replace("\\n", "\\\\n") if rows else "none\n"


def _table(rows: list[dict[str, str]]) -> str:
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n"
    return head + "\n".join(f"| {' | '.join(row.values())} |" for row in rows) + "\n"


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

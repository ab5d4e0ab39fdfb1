"""A config file with every setting, its default and what it means, written from the config's own classes.

Example:
    print(template())
    # name: run  # Name of the run folder.

"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from fintune.config.load import REGISTRIES, SECTIONS, describe
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, did_you_mean
from fintune.runtime.printable import one_line

_PLAIN = re.compile(r"(?!true$|false$|null$)[a-z][a-z0-9-]*")
"""Text that YAML reads as text without quotes."""

_OPENING = """\
# A FinTune run. Every setting stands here with its default; delete what you leave as it is.
# Check it:  fintune check {path}        Run it:  fintune train {path}
"""


def template(
    path: str = "run.yaml", *, written: Mapping[str, object] | None = None, why: Mapping[str, str] | None = None
) -> str:
    """Return the YAML text; `written` are settings in place of defaults, as a config has them, `why` the reason for some, by setting."""
    chosen, reasons = written or {}, why or {}
    lines = [_OPENING.format(path=path)]
    for name, field in RunConfig.model_fields.items():
        content = chosen.get(name, field.default)
        if name in SECTIONS or name in REGISTRIES:
            lines.append(f"\n{name}:")
            own = content if isinstance(content, Mapping) else {}
            lines += _section(_validated(name, own), own, reasons, [name])
        else:
            lines += _lines([name], content, field.description, reasons)
    return "\n".join(lines) + "\n"


def filled_in(written: Mapping[str, object]) -> dict[str, object]:
    """Return a config that is to be written, what has no default put in for whoever writes on. Raises ConfigError for an unknown task."""
    task = written.get("task")
    if not isinstance(task, Mapping):
        return dict(written)
    name, registry = str(task.get("name", REGISTRIES["task"][0])), REGISTRIES["task"][1]
    if name not in registry:
        raise ConfigError([f"task.name: unknown task '{name}'. {did_you_mean(name, registry)}"])
    return {**written, "task": {**registry[name].sample, **task}}


def _validated(name: str, own: Mapping[str, Any]) -> BaseModel:
    """Return a section. Raises ConfigError for what no config may hold."""
    section = _class(name, own)
    try:
        return section.model_validate(own)
    except ValidationError as error:
        raise ConfigError(describe(error, section, name)) from None


def _class(name: str, chosen: Mapping[str, Any]) -> type[BaseModel]:
    if name in SECTIONS:
        return SECTIONS[name]
    default, registry = REGISTRIES[name]
    if (own := str(chosen.get("name", default))) not in registry:
        raise ConfigError([f"{name}.name: unknown {name} '{own}'. {did_you_mean(own, registry)}"])
    options: type[BaseModel] = registry[own].options
    return options


def _section(
    section: BaseModel, chosen: Mapping[str, Any], reasons: Mapping[str, str], place: Sequence[str]
) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield f"{'  ' * len(place)}{name}:"
            yield from _section(value, chosen.get(name, {}), reasons, [*place, name])
        else:
            yield from _lines([*place, name], value, field.description, reasons)


def _lines(place: Sequence[str], value: Any, description: str | None, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield the line of a setting, and above it why it was guessed."""
    indent, reason = "  " * (len(place) - 1), reasons.get(".".join(place))
    if reason is not None:
        yield f"{indent}# guessed: {one_line(reason)}"
    shown = value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    yield f"{indent}{place[-1]}: {shown}" + (f"  # {description}" if description else "")

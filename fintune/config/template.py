"""A config file with every setting, its default and what it means, written from the config's own classes.

>>> print(template())
name: run  # Name of the run folder.
...
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from fintune.config.load import REGISTRIES, SECTIONS
from fintune.config.run_config import RunConfig

_PLAIN = re.compile(r"(?!true$|false$|null$)[a-z][a-z0-9-]*")
"""Text that YAML reads as text without quotes."""

_OPENING = """\
# A FinTune run. Every setting stands here with its default; delete what you leave as it is.
# Check it:  fintune check {path}        Run it:  fintune train {path}
"""


def template(path: str = "run.yaml", *, data: str | None = None) -> str:
    """Return the YAML text; `data` fills in data.path."""
    classes = dict(SECTIONS) | {name: registry[default].options for name, (default, registry) in REGISTRIES.items()}
    lines = [_OPENING.format(path=path)]
    for name, field in RunConfig.model_fields.items():
        if name not in classes:
            lines.append(_line(name, field.default, field.description, ""))
            continue
        lines.append(f"\n{name}:")
        lines += _section(classes[name](), {"path": data} if name == "data" and data else {}, "  ")
    return "\n".join(lines) + "\n"


def _section(section: BaseModel, chosen: dict[str, Any], indent: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = chosen.get(name, getattr(section, name))
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _section(value, {}, indent + "  ")
        else:
            yield _line(name, value, field.description, indent)


def _line(name: str, value: Any, description: str | None, indent: str) -> str:
    shown = value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return f"{indent}{name}: {shown}" + (f"  # {description}" if description else "")

"""Every setting of a run: read from YAML, overridden by `--set`, checked as a whole, frozen.

All problems are reported at once, each with the nearest valid name. YAML 1.2 is read: `2e-4` is a number, `no` is text.

Example:
    config = load("run.yaml", ["train.epochs=3", "method.r=16"])
    config.train.epochs
    # 3
"""

import copy
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from fintune.config.across import not_to_be_kept, unfit_cuts, unfit_shares, unknown_targets, unlearned_shares
from fintune.config.compare import CompareSection
from fintune.config.evaluation import EvaluationSection
from fintune.config.from_data import Looked, are_data, look
from fintune.config.mistaken import mistaken_for_config
from fintune.config.run_config import RunConfig
from fintune.config.text import QUOTING, escaped_paths, read_config_text
from fintune.config.train import TrainSection
from fintune.data.settings import DataSection
from fintune.errors import ConfigError, did_you_mean, shortened
from fintune.methods import METHODS
from fintune.models.settings import ModelSection
from fintune.runtime.registry import Registry
from fintune.runtime.untrusted import BrokenYaml, need_name, need_whole_characters, parse_yaml
from fintune.tasks import TASKS

_BRANCH = re.compile(r"(str|int|float|bool)$|(list|dict|literal)\[")
"""A part that pydantic adds to the place of a setting which may be one thing or another."""
_FOLDED = re.compile("[\x85\u2028\u2029\ufeff]")


ConfigSource = str | Path | Sequence[str | Path] | Mapping[str, Any] | RunConfig
"""What a config is read from: a YAML file, files of data, a mapping as YAML has it, or a config."""
SECTIONS: dict[str, type[BaseModel]] = {
    "model": ModelSection,
    "data": DataSection,
    "train": TrainSection,
    "evaluation": EvaluationSection,
    "compare": CompareSection,
}
REGISTRIES: dict[str, tuple[str, Registry[Any]]] = {"task": ("sentiment", TASKS), "method": ("lora", METHODS)}


def load(source: ConfigSource, overrides: Sequence[str] = ()) -> RunConfig:
    """Return a config from a YAML file, a mapping or a config, with `section.key=value` overrides. Raises ConfigError."""
    return validate(unchecked(source, overrides))


def unchecked(source: ConfigSource, overrides: Sequence[str] = ()) -> dict[str, object]:
    """Return what was written, of data what they come to; nothing filled in or resolved. Raises ConfigError when it cannot be read."""
    if isinstance(source, RunConfig):
        source = source.model_dump()
    if isinstance(source, Mapping):
        return _overridden(source, overrides)
    files = [source] if isinstance(source, str | Path) else list(source)
    if are_data(files):
        return looked(files, overrides).written
    if len(files) != 1:
        raise ConfigError([f"{', '.join(map(str, files))}: one config at a time"], hint="Name one, or files of data.")
    return _overridden(_read(Path(files[0])), overrides)


def looked(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Looked:
    """Return what files of data come to, overrides included, and why. Raises DataError, Undecided."""
    given = _overridden({}, overrides)
    found = look([str(file) for file in files], given)
    return Looked(_merge(found.written, given), found.reasons)


def _overridden(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    written = dict(raw)
    for override in overrides:
        written = _override(written, override)
    return written


def validate(raw: Mapping[str, object]) -> RunConfig:
    """Check every section against its class or registry entry; raises one ConfigError that lists all problems."""
    problems = [*_unwritable(raw), *escaped_paths(raw)]
    parts: dict[str, Any] = {}
    for name, section in _sections(raw, problems).items():
        try:
            parts[name] = section.model_validate({} if raw.get(name) is None else raw[name])
        except ValidationError as error:
            problems += describe(error, section, name)
    shares = parts["data"].split.fractions if "data" in parts else {"train": 1.0}
    if abs(sum(shares.values()) - 1) > 1e-6:
        problems.append(f"data.split: train, validation and test add up to {sum(shares.values()):g}, not 1")
    if "task" in parts and "data" in parts:
        problems += [*unknown_targets(parts["task"], parts["data"]), *unfit_cuts(parts["task"], parts["data"])]
        problems += dict.fromkeys(unfit_shares(parts["task"], parts["data"]))  # of several sources once
    if "data" in parts and "train" in parts:
        problems += unlearned_shares(parts["data"], parts["train"])
    for name, (_, registry) in REGISTRIES.items():
        if name in parts and registry.origin(parts[name].name) is not None:
            problems += not_to_be_kept(name, parts[name])
    if "method" in parts and "train" in parts and parts["train"].learning_rate == "auto":
        rate = METHODS[parts["method"].name].learning_rate
        parts["train"] = parts["train"].model_copy(update={"learning_rate": rate})
    top = {key: value for key, value in raw.items() if key not in SECTIONS and key not in REGISTRIES}
    try:
        config = RunConfig.model_validate(top | _placeholders() | parts)
    except ValidationError as error:
        problems += describe(error, RunConfig, "")
    if problems:
        raise ConfigError(problems, hint="All settings with their defaults: fintune init.")
    return config


def _unwritable(value: object, where: str = "") -> Iterator[str]:
    """Names and values that no file could hold, or be called by."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _unwritable(str(key), where)
            yield from _unwritable(inner, f"{where}.{key}".strip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _unwritable(inner, where)
    elif isinstance(value, str):
        try:
            need_whole_characters(value)
        except ValueError as error:
            yield f"{where or 'config'}: {error}; a name that is not UTF-8? Rename the file"
        if "\0" in value:
            yield f"{where or 'config'}: holds a zero character"


def of_another_file(config: RunConfig, overrides: Sequence[str]) -> DataSection:
    """Return how another file than the run's own is read: section data with `data.key=value` in place of its settings.

    Raises ConfigError for a setting that is none, or that does not fit the task.
    """
    given = _overridden({}, overrides)
    if strange := [name for name in given if name != "data"]:
        raise ConfigError([f"--set {strange[0]}: of a file only data.* can be set"], hint="Leave it out.")
    own = given.get("data")
    try:
        section = DataSection.model_validate({**config.data.model_dump(), **(own if isinstance(own, Mapping) else {})})
    except ValidationError as error:
        raise ConfigError(describe(error, DataSection, "data"), hint="fintune init shows every setting.") from None
    across = (unknown_targets, unfit_cuts, unfit_shares)
    if problems := [problem for of in across for problem in of(config.task, section)]:
        raise ConfigError(problems, hint="Name labels of the task.")
    return section


def dump(config: RunConfig) -> str:
    """Return the config as YAML, every setting visible, loadable again."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 1000
    yaml.dump(_quoted(config.model_dump()), stream)
    return stream.getvalue()


def _quoted(value: Any) -> Any:
    """Line ends that YAML folds into blanks survive in double quotes only."""
    if isinstance(value, dict):
        return {key: _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and _FOLDED.search(value) else value


def _read(path: Path) -> dict[str, Any]:
    need_name(path)
    if (mistaken := mistaken_for_config(path)) is not None:
        raise ConfigError([mistaken[0]], hint=mistaken[1])
    if not path.is_file():
        raise ConfigError([f"{path}: no such config file"], hint="Write one with: fintune init")
    try:
        raw = copy.deepcopy(_parsed(read_config_text(path)))
    except BrokenYaml as error:
        if path.suffix.lower() == ".json" and (mistaken := mistaken_for_config(path, [])) is not None:
            raise ConfigError(
                [mistaken[0]], hint=mistaken[1]
            ) from None  # a config in JSON is YAML: these are lines of it
        line = f":{error.line}" if error.line else ""
        hint = QUOTING if error.in_escape else "Check indentation and quotes there."
        raise ConfigError([f"{path}{line}: not YAML: {error}"], hint=hint) from None
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"], hint="fintune init writes a good one.") from None
    if (mistaken := mistaken_for_config(path, raw)) is not None:
        raise ConfigError([mistaken[0]], hint=mistaken[1])
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: holds {type(raw).__name__}, not sections"], hint="Write one with: fintune init")
    return raw


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Parse once what is asked for all over a command: a run's config takes 70 ms."""
    return parse_yaml(text)


def _override(raw: dict[str, Any], override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            [f"--set {override}: not of the form section.key=value"], hint="Example: --set train.epochs=3"
        )
    try:
        value: Any = parse_yaml(text)
    except BrokenYaml:
        value = text
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return _merge(raw, value)


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _sections(raw: Mapping[str, object], problems: list[str]) -> dict[str, type[BaseModel]]:
    """Return the class that checks each section; `task` and `method` by their registry."""
    sections = dict(SECTIONS)
    for section, (default, registry) in REGISTRIES.items():
        content = raw.get(section) or {}
        name = str(content.get("name", default)) if isinstance(content, Mapping) else default
        if name in registry:
            sections[section] = registry[name].options
        else:
            problems.append(f"{section}.name: unknown {section} '{name}'. {did_you_mean(name, registry)}")
    return sections


def _placeholders() -> dict[str, Any]:
    """Return valid stand-ins, so that a broken section does not hide problems at the top level."""
    stand_ins: dict[str, Any] = {name: section() for name, section in SECTIONS.items()}
    return stand_ins | {name: registry[default].options() for name, (default, registry) in REGISTRIES.items()}


def describe(error: ValidationError, section: type[BaseModel], prefix: str) -> list[str]:
    """Return a line for each place, also of a setting that may be one thing or another."""
    places: dict[tuple[str, ...], Any] = {}
    for problem in error.errors():
        if (before := places.get(_place(problem))) is not None:
            other = problem["msg"].removeprefix("Input should be ")
            places[_place(problem)] = before | {"msg": f"{before['msg']} or {other}"}
        else:
            places[_place(problem)] = problem
    return [_line(problem, section, prefix) for problem in places.values()]


def _place(problem: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in problem["loc"] if not _BRANCH.match(str(part)))


def _line(problem: Any, section: type[BaseModel], prefix: str) -> str:
    path = list(_place(problem))
    where = ".".join([prefix, *path] if prefix else path)
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown setting. {did_you_mean(path[-1], _names(section, path[:-1]))}"
    if problem["type"] == "missing":
        return f"{where}: must be set"
    message, refused = problem["msg"].removeprefix("Value error, "), problem["input"]
    if problem["type"] == "model_type":
        message = "holds settings, one a line, not a value"
    if problem["type"] == "string_type" and not isinstance(refused, dict | list):
        message += '; put it in quotes: "null"' if refused is None else f'; put it in quotes: "{str(refused).lower()}"'
    return f"{where}: {message}" + ("" if isinstance(refused, dict) else f" (found {shortened(repr(refused))})")


def _names(section: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names of the settings at `path` inside a section."""
    for part in path:
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        inner = (
            one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)
        )
        section = next(inner, section)  # places in a list change nothing
    return list(section.model_fields)

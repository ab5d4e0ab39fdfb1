"""What a run was when it was scored: digests of its adapter and its base model, and the settings that decide an answer.

Written last; whatever opens the run compares with it first. It shows what was changed since, not that whoever changed it did not
change it too (SECURITY.md).

Example:
    need_unchanged(Run.open("runs/phrasebank-lora"))
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from fintune.config.load import unchecked
from fintune.config.plugins import typed_code
from fintune.errors import ConfigError, FintuneError, ModelError, RunError
from fintune.models.digests import file_sha256
from fintune.runs.files import MANIFEST
from fintune.runs.run import Run
from fintune.runs.schema import first_problem
from fintune.runs.version import RUN_VERSION
from fintune.runtime.shell import typed
from fintune.runtime.untrusted import parse_object, read_text

if TYPE_CHECKING:
    from fintune.models import LoadedModel

_DECIDE: dict[str, tuple[str, ...]] = {
    "train": ("objective",),
    "data": ("text_column", "label_column", "label_columns", "label_map", "redact"),
}
"""Settings that decide an answer, of the sections of which not all do."""
_SECTIONS = ("model", "task", "method", "train", "data")
_PLACE = ("base", "revision", "device")
"""Settings of section model that say where it lies and runs; which one it is, its digest says."""
_NONE = "nothing"


class _Base(BaseModel):
    model_config = ConfigDict(strict=True)
    sha256: str | None
    files: dict[str, str]


class Manifest(BaseModel):
    """The content of manifest.json."""

    model_config = ConfigDict(strict=True)
    version: int
    files: dict[str, str]
    """Digest of each file of the adapter, by its path in the run."""
    settings: dict[str, dict[str, JsonValue]]
    """Sections of config.yaml, as far as they decide an answer."""
    base: _Base


def write(run: Run, base: "LoadedModel") -> None:
    """Record a run as it is now, just scored on this base model."""
    record = Manifest(
        version=RUN_VERSION,
        files=_files(run),
        settings=settings_of(run.folder / "config.yaml"),
        base=_Base(sha256=base.sha256, files=dict(base.files)),
    )
    run.write_json(MANIFEST, record.model_dump())


def read(run: Run) -> Manifest:
    """Return the record. Raises RunError when there is none, or it is damaged."""
    place = run.folder / MANIFEST
    try:
        record = Manifest.model_validate(parse_object(read_text(place)))
    except FileNotFoundError:
        raise RunError(
            f"{run.folder}: no {MANIFEST}, so nothing says that adapter and settings are those that were scored",
            hint=f"Score it as it is: {rescore(run)}",
        ) from None
    except (ValidationError, ValueError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise RunError(f"{place}: damaged: {problem}", hint="Copy the run folder again.") from None
    if record.version > RUN_VERSION:
        raise RunError(
            f"{place}: version {record.version}, and this FinTune reads up to {RUN_VERSION}",
            hint="Use a newer FinTune.",
        )
    return record


def need_unchanged(run: Run) -> Manifest:
    """Return the record of a run that is as it was scored. Raises RunError with the first file or setting that is not."""
    run.refresh()
    record = read(run)
    for where, problem in _changes(run, record):
        raise RunError(f"{where}: {problem}", hint=_way_out(run))
    return record


def _way_out(run: Run) -> str:
    """Return what to do about a run that was changed; one whose settings are none any more cannot be scored."""
    try:
        run.config()
    except FintuneError:
        return "Put it back: as it is, the run cannot be scored."
    return f"Put it back, or score the run as it is now: {rescore(run)}"


def need_base(record: Manifest, base: "LoadedModel") -> None:
    """Raise ModelError for another base model than the run was scored on."""
    if base.sha256 == record.base.sha256:
        return
    then, now = record.base.files, base.files
    changed = next((f": {name}" for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)), "")
    raise ModelError(
        f"{base.reference}: weights, settings or tokenizer are not those the adapter was trained on (sha256 differs{changed})",
        hint="Restore that model, or train again.",
    )


def rescore(run: Run) -> str:
    """Return the command that takes a run as it is now."""
    return f"fintune evaluate {typed(run.folder)} --rescore{typed_code()}"


def _changes(run: Run, record: Manifest) -> Iterator[tuple[Path, str]]:
    """Places that are not as recorded, and how."""
    files, config = _files(run), run.folder / "config.yaml"
    for name in sorted(record.files.keys() | files.keys()):
        if name not in files:
            yield run.folder / name, "is missing"
        elif name not in record.files:
            yield run.folder / name, "was not there when the run was scored"
        elif files[name] != record.files[name]:
            yield run.folder / name, "not the file that was scored (sha256 differs)"
    then, now = (dict(flat(settings)) for settings in (record.settings, settings_of(config)))
    for name in sorted(
        then.keys() | now.keys(), key=lambda name: (not name.endswith(".name"), name)
    ):  # others follow from it
        if then.get(name, _NONE) != now.get(name, _NONE):
            yield config, f"{name} is {_shown(now, name)}, and was {_shown(then, name)} when the run was scored"
    if run.environment().get("base_sha256") != record.base.sha256:
        yield run.folder / "environment.json", "base_sha256 is not that of the model the run was scored on"


def _files(run: Run) -> dict[str, str]:
    if not run.adapter.is_dir():
        return {}
    paths = sorted(path for path in run.adapter.rglob("*") if path.is_file() and not _is_for_people(path.name))
    return {path.relative_to(run.folder).as_posix(): file_sha256(path) for path in paths}


def _is_for_people(name: str) -> bool:
    """Whether a file is for people and programs that keep folders, and nothing is loaded from it."""
    return name.startswith(".") or name.endswith(".md")


def settings_of(config: Path) -> dict[str, dict[str, JsonValue]]:
    """Return what decides an answer in a config's file. Raises RunError when it is damaged."""
    try:
        raw = unchecked(config)
    except ConfigError as error:
        raise RunError(f"{config}: damaged: {error.problems[0]}", hint="Copy the folder again.") from None
    sections = {name: section if isinstance(section := raw.get(name), dict) else {} for name in _SECTIONS}
    kept = {name: _DECIDE.get(name, tuple(settings)) for name, settings in sections.items()}
    return {
        name: {key: settings[key] for key in kept[name] if key in settings and not (name == "model" and key in _PLACE)}
        for name, settings in sections.items()
    }


def flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield settings by their dotted names."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _shown(settings: Mapping[str, object], name: str) -> str:
    value = repr(settings[name]) if name in settings else _NONE
    return value if len(value) <= 60 else f"{value[:60]}..."

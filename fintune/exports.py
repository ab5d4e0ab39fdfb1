"""Exports as engines: a finished one is checked to the byte and opened for the task it was made for.

>>> running = Export(Path("runs/phrasebank-lora/exports/gguf-q8_0")).engine()
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fintune.assembly import engine, load_base
from fintune.config import load
from fintune.data.sources import sha256
from fintune.engines import Engine
from fintune.errors import ConfigError, ModelError, RunError
from fintune.export.registry import FORMATS, AsEngine, AsModel, Format, OntoBase
from fintune.foreign import ForeignAdapter
from fintune.manifest import need_unchanged, settings_of
from fintune.models import LoadedModel
from fintune.models.references import read_json
from fintune.run import Run
from fintune.sections import RunConfig


class _Source(BaseModel):
    run: str
    weight: float
    adapter_sha256: str
    data_fingerprint: str
    data: list[dict[str, str | None]]


class _Record(BaseModel):
    """What verification.json holds, checked before anything relies on it."""

    model_config = ConfigDict(strict=True)
    version: int = Field(ge=1)
    format: str
    dtype: str
    base: str
    base_sha256: str | None
    method: str
    sources: list[_Source] = Field(min_length=1)
    files: dict[str, str] = Field(min_length=1)
    megabytes: float
    load_seconds: float
    texts_per_second: float
    texts: int = Field(ge=1)
    changed: int
    largest_difference: float
    accuracy: float | None
    accuracy_of_run: float | None
    near_ties: int = Field(0, ge=0)
    format_version: int = 1

    @model_validator(mode="after")
    def _is_a_format(self) -> "_Record":
        if self.format not in FORMATS or self.dtype not in FORMATS[self.format].dtypes:
            raise ValueError(f"no format {self.format}, {self.dtype}")
        return self


RECORD = "verification.json"
VERSION = 1
"""of the folder's layout"""
SETTINGS = "fintune.yaml"
"""the run's config: how texts are put to the model, and answers read"""
_READ = (".json", ".onnx", ".data", ".safetensors", ".model", ".jinja", ".txt", ".bin", ".pth", ".gguf", ".yaml")
"""files a model may be read from"""


@dataclass(frozen=True)
class Export:
    """An export's folder, wherever it has been copied to: it answers as what it was made of."""

    folder: Path

    def config(self) -> RunConfig:
        """Of the run it was made of; the first of several. Raises RunError when it cannot be read."""
        try:
            return load(self.folder / SETTINGS)
        except ConfigError as error:
            raise RunError(
                f"{self.folder / SETTINGS}: {error.problems[0]}",
                hint="Is a task or method your own? Name its file: --code FILE.",
            ) from None

    def adapter_sha256(self) -> str:
        """Digests of the adapters in it. Raises ModelError for a damaged record."""
        return " ".join(one["adapter_sha256"] for one in read_record(self.folder)["sources"])

    def engine(self) -> Engine:
        """What runs it. Raises ConfigError, ModelError when damaged, BrokenEnvironment when the package it takes is not there."""
        folder, record, config = self.folder, read_record(self.folder), self.config()
        form = self.need_package()
        self.need_whole()
        return opened(form, folder, config, base_sha256=record["base_sha256"])

    def need_whole(self) -> None:
        """Raise ModelError when a file is not the one that was proved, is missing, or was added."""
        folder, record = self.folder, read_record(self.folder)
        here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in _READ}
        if added := here - record["files"].keys() - {RECORD}:
            raise ModelError(
                f"{folder / min(added)}: was not there when it was proved", hint="Remove it, or export again."
            )
        _need_size(folder, record)
        for name, digest in record["files"].items():
            if not (folder / name).is_file() or sha256(folder / name) != digest:
                raise ModelError(
                    f"{folder / name}: is missing, or not the file that was proved", hint="Export it again."
                )

    def need_package(self) -> Format:
        """Its format. Raises BrokenEnvironment when what runs it is not installed, ModelError for a record damaged or outdated."""
        record = read_record(self.folder)
        form = FORMATS[record["format"]]
        if record.get("format_version", 1) < form.version:
            raise ModelError(
                f"{self.folder}: written by an earlier FinTune, whose {form.name} is not to be trusted",
                hint="Export it again, with --overwrite.",
            )
        form.need_package()
        return form


def _need_size(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse what is much larger than it was: to read it through might never end."""
    known = (folder / name for name in record["files"])
    size = sum(file.stat().st_size for file in known if file.is_file()) / 1e6
    if size > 2 * record["megabytes"] + 1:
        raise ModelError(
            f"{folder}: {size:,.0f} MB, where {record['megabytes']:,.0f} MB were proved", hint="Export it again."
        )


def exports_of(run: Run | ForeignAdapter) -> list[str]:
    """Names of a run's finished exports: engines to ask."""
    return sorted(path.parent.name for path in run.folder.glob(f"exports/*/{RECORD}"))


def export_of(run: Run | ForeignAdapter, name: str) -> Export:
    """The run's export of that name. Raises ModelError when it is damaged, or made of another adapter than the run has now."""
    found = Export(run.folder / "exports" / name)
    record = read_record(found.folder)
    if [one["adapter_sha256"] for one in record["sources"]] != [run.adapter_sha256()]:
        raise ModelError(
            f"{found.folder}: made of another adapter than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    if isinstance(run, Run) and settings_of(found.folder / SETTINGS) != need_unchanged(run).settings:
        raise ModelError(
            f"{found.folder}: made with other settings than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    names = {form.folder_name(dtype) for form in FORMATS.values() for dtype in form.dtypes}
    if name in names and name != (made := FORMATS[record["format"]].folder_name(record["dtype"])):
        raise ModelError(
            f"{found.folder}: holds the export {made}", hint="Give the folder its name back, or export again."
        )
    return found


def read_record(folder: Path) -> dict[str, Any]:
    """verification.json. Raises ModelError for a newer version, or a damaged one."""
    record = read_json(folder / RECORD)
    version = record.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ModelError(
            f"{folder / RECORD}: version {version}, and this FinTune reads up to {VERSION}",
            hint="Use a newer FinTune, or export it again.",
        )
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        told = f"{folder / RECORD}: damaged", ".".join(map(str, first["loc"])), first["msg"]
        raise ModelError(": ".join(filter(None, told)), hint="Export it again, with --overwrite.") from None
    return record


def opened(form: Format, folder: Path, config: RunConfig, *, base_sha256: str | None) -> Engine:
    """What runs an export, for the run's task. Raises ModelError when it cannot be read, or its base is not that of the digest."""
    match form.back:
        case AsEngine(run):
            return run(folder, config)
        case OntoBase(put):
            found = put(_clean_base(config, base_sha256), folder)
        case AsModel(read):
            found = read(folder)
    running: Engine = engine(config, found)
    return running


def _clean_base(config: RunConfig, base_sha256: str | None) -> LoadedModel:
    whole = config.model.model_copy(update={"quantization": "none", "dtype": "float32", "device": "cpu"})
    base = load_base(config.model_copy(update={"model": whole}))
    if base.sha256 != base_sha256:
        raise ModelError(
            f"{config.model.base}: not the model the adapter was trained on (sha256 differs)",
            hint="Restore that model.",
        )
    return base


def digests(folder: Path) -> Mapping[str, str]:
    """sha256 of every file below, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}

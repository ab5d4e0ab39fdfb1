"""Finished exports on disk: their record, and whether their files are those that were proved.

>>> Export(Path("runs/phrasebank-lora/exports/gguf-q8_0")).need_whole()
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintune.config.load import load
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, ModelError, RunError
from fintune.models.folder import read_json
from fintune.runtime.files import sha256


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


def _need_size(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse what is much larger than it was: to read it through might never end."""
    known = (folder / name for name in record["files"])
    size = sum(file.stat().st_size for file in known if file.is_file()) / 1e6
    if size > 2 * record["megabytes"] + 1:
        raise ModelError(
            f"{folder}: {size:,.0f} MB, where {record['megabytes']:,.0f} MB were proved", hint="Export it again."
        )


def exports_of(run: Path) -> list[str]:
    """Names of the finished exports in a run's folder: engines to ask."""
    return sorted(path.parent.name for path in run.glob(f"exports/*/{RECORD}"))


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


def digests(folder: Path) -> Mapping[str, str]:
    """sha256 of every file below, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}

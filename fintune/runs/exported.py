"""Finished exports on disk: their record, and whether their files are those that were proved.

Example:
    Export(Path("runs/phrasebank-lora/exports/gguf-q8_0")).need_whole()
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from fintune.config.load import load
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, ModelError, RunError
from fintune.models.digests import file_sha256
from fintune.models.folder import read_json
from fintune.runs.export_schema import ExportRecord, problem_of
from fintune.runtime.files import sha256

EXPORT_RECORD = "verification.json"
EXPORT_VERSION = 3
"""Version of the folder's layout."""
EXPORT_SETTINGS = "fintune.yaml"
"""Name of the run's config: how texts are put to the model, and answers read."""
_READ = (".json", ".onnx", ".data", ".safetensors", ".model", ".jinja", ".txt", ".bin", ".pth", ".gguf", ".yaml")
"""Suffixes of the files a model may be read from."""


@dataclass(frozen=True)
class Export:
    """An export's folder, wherever it has been copied to: it answers as what it was made of. Its record and config are read once."""

    folder: Path

    def config(self) -> RunConfig:
        """Return the config of the run it was made of; the first of several. Raises RunError when it cannot be read."""
        return self._config

    @cached_property
    def _config(self) -> RunConfig:
        try:
            return load(self.folder / EXPORT_SETTINGS)
        except ConfigError as error:
            raise RunError(
                f"{self.folder / EXPORT_SETTINGS}: {error.problems[0]}",
                hint="Is a task or method your own? Name its file: --code FILE.",
            ) from None

    @cached_property
    def record(self) -> ExportRecord:
        """The content of its verification.json. Raises ModelError for a newer version, or a damaged one."""
        return read_record(self.folder)

    def adapter_sha256(self) -> str:
        """Return digests of the adapters in it. Raises ModelError for a damaged record."""
        return " ".join(one["adapter_sha256"] for one in self.record["sources"])

    def need_whole(self) -> None:
        """Raise ModelError when a file is not the one that was proved, is missing, or was added."""
        folder, record = self.folder, self.record
        here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in _READ}
        if added := here - record["files"].keys() - {EXPORT_RECORD}:
            raise ModelError(
                f"{folder / min(added)}: was not there when it was proved", hint="Remove it, or export again."
            )
        _need_size(folder, record)
        for name, digest in record["files"].items():
            if not (folder / name).is_file() or file_sha256(folder / name) != digest:
                raise ModelError(
                    f"{folder / name}: is missing, or not the file that was proved", hint="Export it again."
                )


def _need_size(folder: Path, record: ExportRecord) -> None:
    """Refuse what is much larger than it was: to read it through might never end."""
    known = (folder / name for name in record["files"])
    size = sum(file.stat().st_size for file in known if file.is_file()) / 1e6
    if size > 2 * record["megabytes"] + 1:
        raise ModelError(
            f"{folder}: {size:,.0f} MB, where {record['megabytes']:,.0f} MB were proved", hint="Export it again."
        )


def exports_of(run: Path) -> list[str]:
    """Return names of the finished exports in a run's folder: engines to ask."""
    return sorted(path.parent.name for path in run.glob(f"exports/*/{EXPORT_RECORD}"))


def read_record(folder: Path) -> ExportRecord:
    """Return an export's verification.json. Raises ModelError for a newer version, or a damaged one."""
    record = read_json(folder / EXPORT_RECORD)
    version = record.get("version")
    if isinstance(version, int) and version > EXPORT_VERSION:
        raise ModelError(
            f"{folder / EXPORT_RECORD}: version {version}, and this FinTune reads up to {EXPORT_VERSION}",
            hint="Use a newer FinTune, or export it again.",
        )
    if isinstance(version, int) and 0 < version < EXPORT_VERSION:
        raise ModelError(
            f"{folder}: made by an earlier FinTune (version {version} of {EXPORT_RECORD}, {EXPORT_VERSION} now)",
            hint="Export it again, with --overwrite.",
        )
    if (problem := problem_of(record)) is not None:
        raise ModelError(f"{folder / EXPORT_RECORD}: damaged: {problem}", hint="Export it again, with --overwrite.")
    return cast("ExportRecord", record)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}

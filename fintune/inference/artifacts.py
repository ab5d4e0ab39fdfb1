"""Exports as engines: what was written is read again, for the run's task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fintune.config.run_config import RunConfig
from fintune.errors import BrokenEnvironment, ModelError, UsageError, did_you_mean
from fintune.inference.agreement import EXACT, ROUNDED
from fintune.inference.engines import Engine, ctranslate2_engine, onnx_engine
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.load import engine, load_base
from fintune.models import LoadedModel, save
from fintune.models.formats import gguf, gguf_lora, state_dict
from fintune.runs.exported import RECORD, SETTINGS, Export, read_record
from fintune.runs.manifest import need_unchanged, settings_of
from fintune.runs.run import Run
from fintune.runtime.install import with_extra


@dataclass(frozen=True)
class AsModel:
    """Read again as a model for torch."""

    read: Callable[[Path], LoadedModel]
    """from the folder alone"""


@dataclass(frozen=True)
class OntoBase:
    """The adapter alone was written, and is put on the base model for torch."""

    put: Callable[[LoadedModel, Path], LoadedModel]
    """(clean base model, folder)"""


@dataclass(frozen=True)
class AsEngine:
    """Run by a library of its own."""

    run: Callable[[Path, RunConfig], Engine]
    """(folder, the run's config)"""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What an export's files are, and what reads them again."""

    name: str
    dtypes: Mapping[str, float | None]
    """precisions it is written in, the default first -> by how much a probability may differ; None: rounded so much that labels decide"""
    back: AsModel | OntoBase | AsEngine
    """how what was written is read again"""
    packages: tuple[str, ...] = ()
    """what must be installed, and the extra that brings it"""
    extra: str = ""
    version: int = 2
    """raised when what is written, or how prompts and answers are read, changes so that what was written before must not be run"""

    def need_package(self, *besides: str) -> None:
        """Raise BrokenEnvironment when one is not installed."""
        if missing := [package for package in (*self.packages, *besides) if find_spec(package) is None]:
            raise BrokenEnvironment(f"--format {self.name}: {missing[0]} is not installed", hint=with_extra(self.extra))

    def folder_name(self, dtype: str) -> str:
        """Return what an export is called in its run."""
        return self.name if dtype == self.chosen(None) else f"{self.name}-{dtype}"

    def chosen(self, dtype: str | None) -> str:
        """Return the precision to write in. Raises UsageError."""
        if dtype is not None and dtype not in self.dtypes:
            raise UsageError(
                f"--dtype {dtype}: format {self.name} has {', '.join(self.dtypes)}",
                hint=did_you_mean(dtype, list(self.dtypes)),
            )
        return dtype or next(iter(self.dtypes))


_PLAIN = {"float32": EXACT, "bfloat16": ROUNDED, "float16": ROUNDED}
ARTIFACTS = {
    entry.name: entry
    for entry in (
        Artifact(name="merged", dtypes=_PLAIN, back=AsModel(save.read)),
        Artifact(name="state-dict", dtypes=_PLAIN, back=AsModel(state_dict.read)),
        Artifact(
            name="bitsandbytes",
            dtypes={"nf4": None, "int8": None},
            back=AsModel(save.read),
            packages=("bitsandbytes",),
            extra="quantization",
        ),
        Artifact(
            name="gguf",
            dtypes={"float32": EXACT, "float16": ROUNDED, "q8_0": None},
            back=AsModel(gguf.read),
            packages=("gguf",),
            extra="embedded",
        ),
        Artifact(
            name="gguf-lora",
            dtypes={"float32": EXACT, "float16": ROUNDED},
            back=OntoBase(gguf_lora.onto),
            packages=("gguf",),
            extra="embedded",
        ),
        Artifact(
            name="ctranslate2",
            dtypes={"float32": EXACT, "int8": None},
            back=AsEngine(ctranslate2_engine.run),
            packages=("ctranslate2",),
            extra="ctranslate2",
        ),
        Artifact(
            name="onnx",
            dtypes={"float32": EXACT, "int8": None},
            back=AsEngine(onnx_engine.run),
            packages=("onnxruntime",),
            extra="onnx",
            version=3,
        ),
    )
}
"""format of a finished export -> what reads it"""


def engine_of(export: Export) -> Engine:
    """Return what runs it. Raises ConfigError, ModelError when damaged, BrokenEnvironment when the package it takes is not there."""
    artifact, config = need_package(export), export.config()
    export.need_whole()
    return opened(artifact, export.folder, config, base_sha256=read_record(export.folder)["base_sha256"])


def need_package(export: Export) -> Artifact:
    """Return what it is. Raises BrokenEnvironment when what runs it is not installed, ModelError for a record damaged or outdated."""
    record = read_record(export.folder)
    artifact = _artifact_of(export.folder, record)
    if record.get("format_version", 1) < artifact.version:
        raise ModelError(
            f"{export.folder}: written by an earlier FinTune, whose {artifact.name} is not to be trusted",
            hint="Export it again, with --overwrite.",
        )
    artifact.need_package()
    return artifact


def _artifact_of(folder: Path, record: Mapping[str, Any]) -> Artifact:
    name, dtype = record["format"], record["dtype"]
    if name not in ARTIFACTS or dtype not in ARTIFACTS[name].dtypes:
        raise ModelError(
            f"{folder / RECORD}: damaged: no format {name}, {dtype}", hint="Export it again, with --overwrite."
        )
    return ARTIFACTS[name]


def export_of(run: Run | ForeignAdapter, name: str) -> Export:
    """Return the run's export of that name. Raises ModelError when it is damaged, or made of another adapter than the run has now."""
    found = Export(run.folder / "exports" / name)
    record = read_record(found.folder)
    if [one["adapter_sha256"] for one in record["sources"]] != [run.adapter_sha256()]:
        raise ModelError(
            f"{found.folder}: made of another adapter than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    if isinstance(run, Run):
        need_unchanged(run)
    if isinstance(run, Run) and settings_of(found.folder / SETTINGS) != settings_of(run.folder / "config.yaml"):
        raise ModelError(
            f"{found.folder}: made with other settings than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    names = {one.folder_name(dtype) for one in ARTIFACTS.values() for dtype in one.dtypes}
    if name in names and name != (made := _artifact_of(found.folder, record).folder_name(record["dtype"])):
        raise ModelError(
            f"{found.folder}: holds the export {made}", hint="Give the folder its name back, or export again."
        )
    return found


def opened(artifact: Artifact, folder: Path, config: RunConfig, *, base_sha256: str | None) -> Engine:
    """Return what runs an export, for the run's task. Raises ModelError when it cannot be read, or its base is not that of the digest."""
    match artifact.back:
        case AsEngine(run):
            return run(folder, config)
        case OntoBase(put):
            found = put(_clean_base(config, base_sha256), folder)
        case AsModel(read):
            found = read(folder)
    running: Engine = engine(config, found)
    return running


def _clean_base(config: RunConfig, base_sha256: str | None) -> LoadedModel:
    whole = {"quantization": "none", "double_quantization": False, "dtype": "float32", "device": "cpu"}
    base = load_base(config.with_(**{f"model__{name}": value for name, value in whole.items()}))
    if base.sha256 != base_sha256:
        raise ModelError(
            f"{config.model.base}: not the model the adapter was trained on (sha256 differs)",
            hint="Restore that model.",
        )
    return base

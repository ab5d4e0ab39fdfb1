"""Exports as engines: what was written is read again, for the run's task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fintune.config.run_config import RunConfig
from fintune.errors import BrokenEnvironment, ModelError, UsageError, did_you_mean
from fintune.inference.agreement import EXACT, ROUNDED
from fintune.inference.engines import Engine, ctranslate2_engine, onnx_engine
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.load import engine, load_base
from fintune.models import LoadedModel, save
from fintune.models.formats import gguf, gguf_lora, state_dict
from fintune.runs.export_schema import ExportRecord
from fintune.runs.exported import EXPORT_RECORD, EXPORT_SETTINGS, Export
from fintune.runs.manifest import need_unchanged, settings_of
from fintune.runs.run import Run
from fintune.runtime.install import with_extra


@dataclass(frozen=True)
class AsModel:
    """Read again as a model for torch."""

    read: Callable[[Path], LoadedModel]
    """(folder): the model, from the folder alone."""


@dataclass(frozen=True)
class OntoBase:
    """The adapter alone was written, and is put on the base model for torch."""

    put: Callable[[LoadedModel, Path], LoadedModel]
    """(clean base model, folder): the model with the adapter on it."""


@dataclass(frozen=True)
class AsEngine:
    """Run by a library of its own."""

    run: Callable[[Path, RunConfig], Engine]
    """(folder, the run's config): the engine."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What an export's files are, and what reads them again."""

    name: str
    dtypes: Mapping[str, float | None]
    """Precisions it is written in, the default first -> by how much a probability may differ; None: rounded so much that labels decide."""
    back: AsModel | OntoBase | AsEngine
    """How what was written is read again."""
    packages: tuple[str, ...] = ()
    """Packages that must be installed."""
    extra: str = ""
    """FinTune's extra that brings them."""
    version: int = 2
    """Raised when what is written, or how prompts and answers are read, changes so that what was written before must not be run."""

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
"""What reads a finished export, by its format."""


def engine_of(export: Export, artifact: Artifact | None = None) -> Engine:
    """Return what runs an export; `artifact`: what artifact_of has found it to be.

    Raises ConfigError, ModelError when it is damaged, BrokenEnvironment when the package it takes is not there.
    """
    artifact, config = artifact or artifact_of(export), export.config()
    export.need_whole()
    return opened(artifact, export.folder, config, base_sha256=export.record["base_sha256"])


def artifact_of(export: Export) -> Artifact:
    """Return what an export is.

    Raises BrokenEnvironment when what runs it is not installed, ModelError for a record damaged or outdated.
    """
    artifact = _artifact_of(export.folder, export.record)
    if export.record.get("format_version", 1) < artifact.version:
        raise ModelError(
            f"{export.folder}: written by an earlier FinTune, whose {artifact.name} is not to be trusted",
            hint="Export it again, with --overwrite.",
        )
    artifact.need_package()
    return artifact


def _artifact_of(folder: Path, record: ExportRecord) -> Artifact:
    name, dtype = record["format"], record["dtype"]
    if name not in ARTIFACTS or dtype not in ARTIFACTS[name].dtypes:
        raise ModelError(
            f"{folder / EXPORT_RECORD}: damaged: no format {name}, {dtype}", hint="Export it again, with --overwrite."
        )
    return ARTIFACTS[name]


def export_of(run: Run | ForeignAdapter, name: str) -> Export:
    """Return the run's export of that name. Raises ModelError when it is damaged, or made of another adapter than the run has now."""
    export = Export(run.folder / "exports" / name)
    if [one["adapter_sha256"] for one in export.record["sources"]] != [run.adapter_sha256()]:
        raise ModelError(
            f"{export.folder}: made of another adapter than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    if isinstance(run, Run):
        need_unchanged(run)
    if isinstance(run, Run) and settings_of(export.folder / EXPORT_SETTINGS) != settings_of(run.folder / "config.yaml"):
        raise ModelError(
            f"{export.folder}: made with other settings than the run has now",
            hint="Export it again with --overwrite, or name the folder itself.",
        )
    names = {one.folder_name(dtype) for one in ARTIFACTS.values() for dtype in one.dtypes}
    own_name = _artifact_of(export.folder, export.record).folder_name(export.record["dtype"])
    if name in names and name != own_name:
        raise ModelError(
            f"{export.folder}: holds the export {own_name}", hint="Give the folder its name back, or export again."
        )
    return export


def opened(artifact: Artifact, folder: Path, config: RunConfig, *, base_sha256: str | None) -> Engine:
    """Return what runs an export, for the run's task. Raises ModelError when it cannot be read, or its base is not that of the digest."""
    match artifact.back:
        case AsEngine(run):
            return run(folder, config)
        case OntoBase(put):
            return engine(config, put(_clean_base(config, base_sha256), folder))
        case AsModel(read):
            return engine(config, read(folder))


def _clean_base(config: RunConfig, base_sha256: str | None) -> LoadedModel:
    whole = {"quantization": "none", "double_quantization": False, "dtype": "float32", "device": "cpu"}
    base = load_base(config.with_(**{f"model__{name}": value for name, value in whole.items()}))
    if base.sha256 != base_sha256:
        raise ModelError(
            f"{config.model.base}: not the model the adapter was trained on (sha256 differs)",
            hint="Restore that model.",
        )
    return base

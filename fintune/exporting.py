"""A run as a model that runs without FinTune: merged, written, read back, and proved to be what was evaluated, or not written at all.

>>> export("runs/phrasebank-lora", "merged").verification.changed
0
"""

import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.assembly import engine, load_base, load_base_of
from fintune.atomic import disk_errors, need_place, replacing_folder
from fintune.config import dump, load
from fintune.data.sources import sha256
from fintune.engines import Engine
from fintune.errors import BrokenEnvironment, ModelError, RunError
from fintune.evaluation.evaluate import predict
from fintune.export.model_card import model_card
from fintune.export.registry import FORMATS, Format, format_of
from fintune.export.verification import Verification, compare, need_equal
from fintune.methods import METHODS
from fintune.models.references import config_at_hand, read_json
from fintune.models.stack import bare
from fintune.progress import tell
from fintune.records import Prediction
from fintune.run import Run
from fintune.sections import RunConfig
from fintune.tasks import TASKS

if TYPE_CHECKING:
    from fintune.models import LoadedModel

RECORD = "verification.json"
VERSION = 1
"""of the folder's layout"""
SETTINGS = "fintune.yaml"
"""the run's config: how texts are put to the model, and answers read"""


@dataclass(frozen=True)
class Exported:
    """What was written, and what was found of it."""

    folder: Path
    verification: Verification
    facts: Mapping[str, Any]
    """megabytes, seconds to load, texts a second, digests"""

    def record(self) -> dict[str, Any]:
        """For programs, and for verification.json."""
        return {"folder": str(self.folder), **self.facts, **self.verification.record()}


@dataclass(frozen=True)
class Refused:
    """A format that was not written."""

    format: str
    dtype: str
    reason: str

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {"format": self.format, "dtype": self.dtype, "refused": self.reason}


def export(
    source: str | Path | Run,
    name: str,
    *,
    dtype: str | None = None,
    output: str | Path | None = None,
    allow_loss: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write a run in format `name`, by default into its folder `exports/`.

    Raises UsageError for a format or dtype there is not, RunError when the place is taken, ModelError when the method cannot be merged,
    the base model is another one, or answers differ from those stored: nothing is written then.
    """
    run = source if isinstance(source, Run) else Run.open(source)
    form = format_of(name)
    precision = form.chosen(dtype)
    folder = place_of(run, form, precision, output, overwrite)
    form.need((config_at_hand(run.config().model.base) or {}).get("model_type"))
    merged = merge(run) if form.onto is None else _with_adapter(run)
    form.need(bare(merged.model).config.model_type)
    return written(run, form, precision, folder, merged, run.predictions("validation"), allow_loss=allow_loss)


def written(  # noqa: PLR0913
    run: Run,
    form: Format,
    dtype: str,
    folder: Path,
    merged: "LoadedModel",
    expected: Sequence[Prediction],
    *,
    allow_loss: bool = False,
) -> Exported:
    """Write a merged model, read it back, ask it for the expected answers. Raises ModelError where it differs: nothing is left then."""
    with replacing_folder(folder) as place:
        tell("export", f"writing {form.name}, {dtype}")
        with disk_errors(place):
            form.write(merged, place, dtype)
        found = _verified(run, form, dtype, place, expected, allow_loss)
        made = replace(found, folder=folder)
        _describe(run, made, place)
    return made


def _describe(run: Run, made: Exported, place: Path) -> None:
    """What a reader of the folder needs: settings of task and prompt, the proof, the card."""
    texts = {
        SETTINGS: dump(run.config()),
        RECORD: json.dumps(made.record() | {"folder": made.folder.name}, indent=1) + "\n",
        "README.md": model_card(run, made.record()),
    }
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")


def export_all(
    source: str | Path | Run, *, allow_loss: bool = False, overwrite: bool = False
) -> "list[Exported | Refused]":
    """Every format in every precision; what cannot be written is in the list with the reason. Raises what ends all of them."""
    run = source if isinstance(source, Run) else Run.open(source)
    made: list[Exported | Refused] = []
    for form in FORMATS.values():
        for dtype in form.dtypes:
            try:
                made.append(export(run, form.name, dtype=dtype, allow_loss=allow_loss, overwrite=overwrite))
            except (ModelError, BrokenEnvironment) as error:
                made.append(Refused(form.name, dtype, error.message))
    return made


def _with_adapter(run: Run) -> "LoadedModel":
    from fintune.models import load_adapter

    if run.config().method.no_merge() or not (run.adapter / "adapter_config.json").is_file():
        raise ModelError(f"{run.folder}: {run.config().method.name} is no plain LoRA", hint="Use another format.")
    return load_adapter(load_base_of(run, device="cpu", dtype="float32", quantization="none"), run.adapter)


def merge(run: Run) -> "LoadedModel":
    """The run's adapter in the weights of its base model, in float32. Raises ModelError where there is no such thing."""
    from fintune.models import load_adapter

    config, method = run.config(), METHODS[run.config().method.name]
    if not method.mergeable or config.method.no_merge():
        method.merged(None, config.method)  # raises, with the reason
    base = load_base_of(run, device="cpu", dtype="float32", quantization="none")
    before = _checksums(base.model)
    tuned = load_adapter(base, run.adapter)
    merged = replace(tuned, model=method.merged(tuned.model, config.method).eval())
    if _checksums(merged.model) == before:
        raise ModelError(f"{run.adapter}: the adapter changes no weight", hint="Train it again, with more steps.")
    return merged


def _checksums(model: Any) -> dict[str, int]:
    """Of the bytes of each parameter: enough to see that it changed."""
    import torch

    return {n: zlib.crc32(p.detach().contiguous().view(torch.uint8).numpy()) for n, p in model.named_parameters()}


def _verified(
    run: Run, form: Format, dtype: str, place: Path, stored: Sequence[Prediction], allow_loss: bool
) -> Exported:
    """Read what was written and ask it the validation texts."""
    config = run.config()
    task = TASKS[config.task.name].build(config.task)
    begun = time.monotonic()
    running = opened(form, place, config)
    loaded = time.monotonic()
    texts, ids = [p.text for p in stored], [p.id for p in stored]
    found, _ = predict(running, task, texts, ids, stage=f"verify {form.name}")
    seconds = time.monotonic() - loaded
    verification = compare(stored, found)
    tolerance = form.dtypes[dtype]
    if tolerance is not None and config.model.quantized:
        tolerance = None  # the adapter was evaluated on rounded weights, and is merged into those in full
    need_equal(verification, tolerance, f"{form.name}, {dtype}", allow_loss=allow_loss)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    facts = {
        "version": VERSION,
        "format": form.name,
        "dtype": dtype,
        "megabytes": size / 1e6,
        "load_seconds": loaded - begun,
        "texts_per_second": len(stored) / seconds,
        "sha256": _digest(place),
        "base_sha256": run.environment().get("base_sha256"),
    }
    return Exported(place, verification, facts)


def opened(form: Format, folder: Path, config: RunConfig) -> Engine:
    """What runs an export, for the run's task. Raises ModelError when it cannot be read."""
    if form.run is not None:
        return form.run(folder, config)
    if form.onto is not None:
        whole = config.model.model_copy(update={"quantization": "none", "dtype": "float32", "device": "cpu"})
        found = form.onto(load_base(config.model_copy(update={"model": whole})), folder)
    else:
        assert form.read is not None
        found = form.read(folder)
    running: Engine = engine(config, found)
    return running


def exports_of(run: Run) -> list[str]:
    """Names of a run's finished exports: engines to ask."""
    return sorted(path.parent.name for path in run.folder.glob(f"exports/*/{RECORD}"))


def open_export(run: Run, name: str) -> Engine:
    """What runs the export of that name. Raises RunError, ModelError when it is damaged."""
    return open_folder(run.folder / "exports" / name)[0]


def open_folder(folder: Path) -> tuple[Engine, RunConfig]:
    """What runs an export, wherever it has been copied to, and the config of its run. Raises ConfigError, ModelError when damaged."""
    record = read_json(folder / RECORD)
    if not isinstance(version := record.get("version"), int) or version > VERSION:
        raise ModelError(
            f"{folder / RECORD}: version {version}, and this FinTune reads up to {VERSION}",
            hint="Use a newer FinTune, or export it again.",
        )
    config = load(folder / SETTINGS)
    return opened(format_of(str(record.get("format"))), folder, config), config


def _digest(folder: Path) -> str:
    """Of every file there."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)} {sha256(file)}\n".encode())
    return digest.hexdigest()


def place_of(run: Run, form: Format, dtype: str, output: str | Path | None, overwrite: bool) -> Path:
    """Where an export goes. Raises RunError when something else is there."""
    name = form.name if dtype == form.chosen(None) else f"{form.name}-{dtype}"
    folder = (run.folder / "exports" / name if output is None else Path(output).expanduser()).absolute()
    need_place(folder / RECORD)
    if folder.exists() and not (overwrite and (folder / RECORD).is_file()):
        raise RunError(
            f"{folder}: is there already", hint="Name another with --output, or give --overwrite (replaces an export)."
        )
    return folder

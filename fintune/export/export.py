"""A run as a model that runs without FinTune: merged, written, read back, and proved to be what was evaluated, or not written at all.

Example:
    export("runs/phrasebank-lora", "merged").verification.changed
    # 0
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from fintune.config.load import dump
from fintune.errors import BrokenEnvironment, ModelError, RunError
from fintune.export.card import export_card
from fintune.export.foreign_card import foreign_card
from fintune.export.merge import ModelToWrite, adapted, merged
from fintune.export.registry import FORMATS, Format, format_of
from fintune.export.verify import of_libraries, reference_of, verified
from fintune.inference.agreement import Verification
from fintune.inference.artifacts import OntoBase
from fintune.inference.foreign import ForeignAdapter, Proof, Use, is_adapter, need_none
from fintune.inference.open import calibration_of
from fintune.models.blocks import unwrap
from fintune.models.folder import read_json
from fintune.models.references import model_type_at_hand
from fintune.runs.adapter_store import place_of as place_of_kept
from fintune.runs.export_schema import ExportRecord
from fintune.runs.exported import EXPORT_RECORD, EXPORT_SETTINGS, Export, read_record
from fintune.runs.files import CALIBRATION
from fintune.runs.run import Run
from fintune.runtime.files import disk_errors, need_place, replacing_folder
from fintune.runtime.progress import tell

_ANOTHER = "Name another with --output, or give --overwrite (replaces an export)."


@dataclass(frozen=True)
class Exported:
    """An export that was written, or was there already, and its verification."""

    folder: Path
    facts: ExportRecord
    """The content of verification.json."""
    verification: Verification

    def record(self) -> dict[str, object]:
        """Return it as programs have it."""
        return {"folder": str(self.folder), **self.facts}


@dataclass(frozen=True)
class Refused:
    """A format that was not written."""

    format: str
    dtype: str
    reason: str

    def record(self) -> dict[str, object]:
        """Return it as programs have it."""
        return {"format": self.format, "dtype": self.dtype, "refused": self.reason}


def export(
    source: str | Path | Run | ForeignAdapter,
    name: str,
    *,
    dtype: str | None = None,
    output: str | Path | None = None,
    allow_loss: bool = False,
    overwrite: bool = False,
    **use: Unpack[Proof],
) -> Exported:
    """Write a run, or an adapter trained elsewhere, in format `name`, by default into its folder `exports/`.

    Raises UsageError for a format or dtype there is not, RunError when the place is taken, ModelError when the method cannot be merged,
    the base model is another one, or answers differ from those stored: nothing is written then.
    """
    run = _opened(source, use)
    form = format_of(name)
    precision = form.chosen(dtype)
    folder = place_of(run, form, precision, output, overwrite)
    form.need(model_type_at_hand(run.config().model.base), precision)
    make = _with_adapter if isinstance(form.back, OntoBase) else merged
    return written(run, form, precision, folder, lambda: make(run), allow_loss=allow_loss, overwrite=overwrite)


def _opened(source: str | Path | Run | ForeignAdapter, use: Proof) -> Run | ForeignAdapter:
    """Return what is to be exported. Raises RunError for an adapter trained elsewhere without texts to prove it on."""
    if not isinstance(source, (str, Path)):
        return source
    if not is_adapter(place := place_of_kept(source)):
        need_none(source, {**use, "base": None})
        return Run.open(place, base=use.get("base") or "")
    adapter = replace(ForeignAdapter.open(place, **_without_data(use)), proof=use.get("data"))
    adapter.texts()
    return adapter


def _without_data(use: Proof) -> Use:
    return {"base": use.get("base"), "task": use.get("task"), "overrides": use.get("overrides") or ()}


def written(  # noqa: PLR0913
    run: Run | ForeignAdapter,
    form: Format,
    dtype: str,
    folder: Path,
    make: Callable[[], ModelToWrite],
    *,
    allow_loss: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write what `make` makes, read it back, ask it for the expected answers. Raises ModelError where it differs: nothing is left then."""
    calibration = calibration_of(run)
    with replacing_folder(folder, overwrite=overwrite) as place:
        model = make()
        form.need(unwrap(model.loaded.model).config.model_type, dtype)
        tell("export", f"writing {form.name}, {dtype}")
        with of_libraries(f"{form.name}, {dtype}: cannot be written"), disk_errors(place):
            form.write(model.loaded, place, dtype)
        config = run.config()
        (place / EXPORT_SETTINGS).write_text(dump(config), encoding="utf-8")
        expected = model.expected
        if calibration is not None and expected.of_one:
            (place / CALIBRATION).write_text(calibration.text(), encoding="utf-8")
        del model  # one model in memory at a time
        record, verification = verified(run, form, dtype, place, expected, allow_loss=allow_loss)
        about = export_card(run, record, form) if isinstance(run, Run) else foreign_card(config, record, form)
        (place / "README.md").write_text(about, encoding="utf-8")
        (place / EXPORT_RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Exported(folder, record, verification)


def export_all(
    source: str | Path | Run | ForeignAdapter,
    *,
    allow_loss: bool = False,
    overwrite: bool = False,
    **use: Unpack[Proof],
) -> "list[Exported | Refused]":
    """Write every format in every precision; what cannot be written is in the list with the reason, what is there already as it is."""
    run = _opened(source, use)
    made: list[Exported | Refused] = []
    for form in FORMATS.values():
        for dtype in form.dtypes:
            try:
                made.append(_finished(run, form, dtype, overwrite) or export(
                    run, form.name, dtype=dtype, allow_loss=allow_loss, overwrite=True
                ))  # fmt: skip
            except (ModelError, RunError, BrokenEnvironment) as error:
                made.append(Refused(form.name, dtype, error.message))
    return made


def place_of(run: Run | ForeignAdapter, form: Format, dtype: str, output: str | Path | None, overwrite: bool) -> Path:
    """Return where an export goes. Raises RunError when something else is there."""
    folder = (
        run.folder / "exports" / form.folder_name(dtype) if output is None else Path(output).expanduser()
    ).absolute()
    need_place(folder / EXPORT_RECORD)
    if folder.exists() and not (overwrite and (folder / EXPORT_RECORD).is_file()):
        hint = "Delete it, or name another with --output." if overwrite else _ANOTHER
        raise RunError(f"{folder}: is there already{', and no finished export' if overwrite else ''}", hint=hint)
    return folder


def _with_adapter(run: Run | ForeignAdapter) -> ModelToWrite:
    settings = run.adapter / "adapter_config.json"
    plain = settings.is_file() and read_json(settings).get("peft_type") == "LORA"
    if run.config().method.no_merge() or not plain:
        raise ModelError(f"{run.folder}: {run.config().method.name} is no plain LoRA", hint="Use another format.")
    return adapted(run)[0]


def _finished(run: Run | ForeignAdapter, form: Format, dtype: str, overwrite: bool) -> Exported | None:
    """Return an export that an earlier call has finished, of the adapter as it is now."""
    folder = place_of(run, form, dtype, None, overwrite=True)
    if overwrite or not folder.exists():
        return None
    facts = read_record(folder)
    wanted = form.name, form.version, dtype, run.adapter_sha256()
    written_then = (
        facts["format"],
        facts.get("format_version", 1),
        facts["dtype"],
        facts["sources"][0]["adapter_sha256"],
    )
    alike = (folder / EXPORT_SETTINGS).read_text("utf-8") == dump(run.config()) and facts.get(
        "reference"
    ) == reference_of(run)
    alike = alike and calibration_of(Export(folder)) == calibration_of(run)
    return Exported(folder, facts, Verification.of(facts)) if written_then == wanted and alike else None

"""A run as a model that runs without FinTune: merged, written, read back, and proved to be what was evaluated, or not written at all.

>>> export("runs/phrasebank-lora", "merged").verification.changed
0
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from fintune.config.load import dump
from fintune.data.readers.sources import expand
from fintune.errors import BrokenEnvironment, FintuneError, ModelError, RunError
from fintune.export.card import export_card
from fintune.export.foreign_card import foreign_card
from fintune.export.merge import Whole, adapted, merged
from fintune.export.merge import source as source_of
from fintune.export.registry import FORMATS, Format, format_of
from fintune.inference.agreement import Verification, compare, need_equal
from fintune.inference.answer import predict
from fintune.inference.artifacts import OntoBase, opened
from fintune.inference.foreign import ForeignAdapter, Proof, Use, is_adapter, need_none
from fintune.inference.proof import scored_in_full
from fintune.models.blocks import bare
from fintune.models.folder import read_json
from fintune.models.references import config_at_hand
from fintune.records import Prediction
from fintune.runs.adapter_store import place_of as place_of_kept
from fintune.runs.exported import RECORD, SETTINGS, VERSION, digests, read_record
from fintune.runs.run import Run
from fintune.runtime.files import disk_errors, need_place, replacing_folder, sha256
from fintune.runtime.install import not_installed
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.progress import tell
from fintune.runtime.shell import typed

_ANOTHER = "Name another with --output, or give --overwrite (replaces an export)."


@dataclass(frozen=True)
class Exported:
    """What was written, and what was found of it."""

    folder: Path
    facts: Mapping[str, Any]
    """the content of verification.json"""
    verification: Verification

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {"folder": str(self.folder), **self.facts}


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
    form.need((config_at_hand(run.config().model.base) or {}).get("model_type"), precision)
    make = _with_adapter if isinstance(form.back, OntoBase) else merged
    return written(run, form, precision, folder, lambda: make(run), allow_loss=allow_loss, overwrite=overwrite)


def _opened(source: str | Path | Run | ForeignAdapter, use: Proof) -> Run | ForeignAdapter:
    """Return what is to be exported. Raises RunError for an adapter trained elsewhere without texts to prove it on."""
    if not isinstance(source, (str, Path)):
        return source
    if not is_adapter(place := place_of_kept(source)):
        need_none(source, {**use, "base": None})
        return Run.open(place, base=use.get("base") or "")
    found = replace(ForeignAdapter.open(place, **_without_data(use)), proof=use.get("data"))
    found.texts()
    return found


def _without_data(use: Proof) -> Use:
    return {"base": use.get("base"), "task": use.get("task"), "overrides": use.get("overrides") or ()}


def written(  # noqa: PLR0913
    run: Run | ForeignAdapter,
    form: Format,
    dtype: str,
    folder: Path,
    make: Callable[[], Whole],
    *,
    allow_loss: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write what `make` makes, read it back, ask it for the expected answers. Raises ModelError where it differs: nothing is left then."""
    with replacing_folder(folder, overwrite=overwrite) as place:
        whole = make()
        form.need(bare(whole.loaded.model).config.model_type, dtype)
        tell("export", f"writing {form.name}, {dtype}")
        with _of_libraries(f"{form.name}, {dtype}: cannot be written"), disk_errors(place):
            form.write(whole.loaded, place, dtype)
        config = run.config()
        (place / SETTINGS).write_text(dump(config), encoding="utf-8")
        expected = whole.expected, whole.sources, whole.base_sha256
        del whole  # one model in memory at a time
        made = replace(_verified(run, form, dtype, place, *expected, allow_loss=allow_loss), folder=folder)
        about = export_card(run, made.facts, form) if isinstance(run, Run) else foreign_card(config, made.facts, form)
        (place / "README.md").write_text(about, encoding="utf-8")
        (place / RECORD).write_text(json.dumps(made.facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def export_all(
    source: str | Path | Run | ForeignAdapter,
    *,
    allow_loss: bool = False,
    overwrite: bool = False,
    **use: Unpack[Proof],
) -> "list[Exported | Refused]":
    """Every format in every precision; what cannot be written is in the list with the reason, what is there already as it is."""
    run = _opened(source, use)
    made: list[Exported | Refused] = []
    for form in FORMATS.values():
        for dtype in form.dtypes:
            try:
                made.append(_there(run, form, dtype, overwrite) or export(
                    run, form.name, dtype=dtype, allow_loss=allow_loss, overwrite=True
                ))  # fmt: skip
            except (ModelError, RunError, BrokenEnvironment) as error:
                made.append(Refused(form.name, dtype, error.message))
    return made


def place_of(run: Run | ForeignAdapter, form: Format, dtype: str, output: str | Path | None, overwrite: bool) -> Path:
    """Where an export goes. Raises RunError when something else is there."""
    folder = (
        run.folder / "exports" / form.folder_name(dtype) if output is None else Path(output).expanduser()
    ).absolute()
    need_place(folder / RECORD)
    if folder.exists() and not (overwrite and (folder / RECORD).is_file()):
        hint = "Delete it, or name another with --output." if overwrite else _ANOTHER
        raise RunError(f"{folder}: is there already{', and no finished export' if overwrite else ''}", hint=hint)
    return folder


def _with_adapter(run: Run | ForeignAdapter) -> Whole:
    settings = run.adapter / "adapter_config.json"
    plain = settings.is_file() and read_json(settings).get("peft_type") == "LORA"
    if run.config().method.no_merge() or not plain:
        raise ModelError(f"{run.folder}: {run.config().method.name} is no plain LoRA", hint="Use another format.")
    return adapted(run)[0]


@contextmanager
def _of_libraries(what: str) -> Iterator[None]:
    """What a format's library cannot do is a refusal of the format, with its own words."""
    try:
        yield
    except (FintuneError, OSError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise not_installed(what, error) from None
    except Exception as error:  # bitsandbytes has sizes its products fail on, CTranslate2 layers it does not know
        if is_out_of_memory(error):
            raise
        told = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ModelError(f"{what}: {told}", hint="Use another format or --dtype.") from error


def _there(run: Run | ForeignAdapter, form: Format, dtype: str, overwrite: bool) -> Exported | None:
    """Return an export that an earlier call has finished, of the adapter as it is now."""
    folder = place_of(run, form, dtype, None, overwrite=True)
    if overwrite or not folder.exists():
        return None
    facts = read_record(folder)
    asked = form.name, form.version, dtype, source_of(run)["adapter_sha256"]
    there = facts["format"], facts.get("format_version", 1), facts["dtype"], facts["sources"][0]["adapter_sha256"]
    alike = (folder / SETTINGS).read_text("utf-8") == dump(run.config()) and facts.get("reference") == _reference(run)
    return Exported(folder, facts, Verification.of(facts)) if there == asked and alike else None


def _reference(run: Run | ForeignAdapter) -> dict[str, Any] | None:
    """Return what the answers are that an adapter trained elsewhere is compared with; of a run they are those of its validation texts."""
    if isinstance(run, Run):
        return None
    names = [one.reference if one.hub else str(one.path.resolve()) for one in expand(run.proof or "")]
    digests_of = [None if one.hub else sha256(one.path) for one in expand(run.proof or "")]
    return {"answers": "the adapter's own, before it was merged", "file": ", ".join(names), "sha256": digests_of}


def _verified(  # noqa: PLR0913, PLR0917
    run: Run | ForeignAdapter,
    form: Format,
    dtype: str,
    place: Path,
    expected: Sequence[Prediction],
    sources: Sequence[Mapping[str, Any]],
    base_sha256: str | None,
    *,
    allow_loss: bool,
) -> Exported:
    """Read what was written and ask it the validation texts, or those of the user's own."""
    config, what = run.config(), f"{form.name}, {dtype}"
    task = config.build_task()
    begun = time.monotonic()
    with _of_libraries(f"{what}: does not run"):
        running = opened(form, place, config, base_sha256=base_sha256)
        loaded = time.monotonic()
        texts, ids = [p.text for p in expected], [p.id for p in expected]
        found, _ = predict(running, task, texts, ids, stage=f"verify {form.name}")
    seconds = time.monotonic() - loaded
    tolerance, alone = form.dtypes[dtype], len(sources) == 1
    as_stored = isinstance(run, Run) and alone and scored_in_full(run)
    proved = compare(expected, found, tolerance)
    rescore = f"fintune evaluate {typed(run.folder)} --split validation" if as_stored else None
    need_equal(proved, tolerance, what, allow_loss=allow_loss, rescore=rescore)
    rounded = alone and not as_stored
    to_run = compare(run.predictions("validation"), found, None) if isinstance(run, Run) and rounded else None
    if to_run is not None:
        need_equal(to_run, None, f"{what}, beside the rounded base", allow_loss=allow_loss)
    facts = {
        "version": VERSION,
        "format": form.name,
        "format_version": form.version,
        "dtype": dtype,
        "base": config.model.base,
        "base_sha256": base_sha256,
        "method": config.method.name,
        "sources": list(sources),
        "megabytes": sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6,
        "load_seconds": loaded - begun,
        "texts_per_second": len(found) / seconds,
        "files": digests(place),
        **proved.record(),
        "reference": _reference(run),
        "beside_the_run": None if to_run is None else to_run.record(),
    }
    return Exported(place, facts, proved)

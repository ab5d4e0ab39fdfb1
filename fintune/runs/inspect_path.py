"""What a path holds, read without loading it: a run, an export, an adapter, a model.

Example:
    inspect("runs/phrasebank-lora")["kind"]
    # 'run'
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from fintune.data.quality.licenses import commerce, license_of
from fintune.errors import BrokenEnvironment, ModelError, UsageError, shortened
from fintune.methods import fintune_format
from fintune.models.digests import file_sha256, files_sha256, in_full, joined
from fintune.models.families import family_of
from fintune.models.folder import need_readable, read_json
from fintune.models.formats import llama_checkpoint
from fintune.models.gguf_header import need_whole
from fintune.models.load import weight_shapes
from fintune.models.peft_files import need_fit, peft_settings
from fintune.models.references import check_reference, need_shards, sha256_at_hand
from fintune.runs.exported import EXPORT_RECORD, EXPORT_SETTINGS, Export, exports_of
from fintune.runs.files import weights_of
from fintune.runs.manifest import need_unchanged
from fintune.runs.run import Run
from fintune.runtime.files import sha256
from fintune.runtime.install import with_extra
from fintune.runtime.untrusted import need_name

Facts = dict[str, object]
_LONGEST = 2_000
"""Number of characters of a value on a screen."""
Inspected = Path | Run | Export


@dataclass(frozen=True, kw_only=True)
class Sort:
    """Something a path can hold; the first that fits is it."""

    name: str
    fits: Callable[[Path], bool]
    facts: Callable[[Any], Mapping[str, object]]
    """(what was opened): its facts by name."""
    open: Callable[[Path], Inspected] = Path


def inspect(path: str | Path, *, base: str | None = None, verify: bool = False) -> Facts:
    """Return facts by name; of an adapter also whether it fits `base`.

    `verify`: every byte is read again, and a run or an export compared with its record. Raises ModelError where nothing known lies, or
    what lies is damaged or was changed, RunError for a run that was.
    """
    place = Path(path).expanduser()
    need_name(place)
    sort = sort_of(place)
    if base is not None and sort.name != "adapter":
        raise UsageError(f"--base: {place} is no bare adapter", hint="Leave it out.")
    if not verify:
        return _facts(sort, place, sort.open(place), base)
    with in_full():
        opened = sort.open(place)
        verified = _verified(opened)
        return _facts(sort, place, opened, base) | {"verified": verified}


def sort_of(place: Path) -> Sort:
    """Return what a path holds. Raises ModelError where nothing known lies."""
    if (sort := next((sort for sort in SORTS if sort.fits(place)), None)) is not None:
        return sort
    what = (
        "nothing there"
        if not place.exists()
        else "neither run, export, adapter, model folder, .gguf nor CTranslate2 folder"
    )
    raise ModelError(f"{place}: {what}", hint="Name one of these.")


def _verified(opened: Inspected) -> str:
    """Return what was compared with its record, in words."""
    if isinstance(opened, Export):
        opened.need_whole()
        return "every file is that which was proved"
    if not isinstance(opened, Run):
        return "read in full; it has no record to be compared with"
    record, reference = need_unchanged(opened), opened.config().model.base
    if (now := sha256_at_hand(reference)) is None:
        return f"adapter and settings are those that were scored; base model {reference} is not at hand"
    if now != record.base.sha256:
        raise ModelError(
            f"{reference}: not the base model the run was scored on (sha256 differs)", hint="Restore that model."
        )
    return "adapter, settings and base model are those that were scored"


def _facts(sort: Sort, place: Path, opened: Inspected, base: str | None) -> Facts:
    facts: Facts = {"kind": sort.name, "path": str(place), **sort.facts(opened)}
    return facts if base is None else facts | _on(place, base)


def _run(run: Run) -> Mapping[str, object]:
    config, data, environment = run.config(), run.data(), run.environment()
    return {
        "method": config.method.name,
        "base": config.model.base,
        "base_sha256": environment.get("base_sha256"),
        "task": config.task.name,
        "labels": list(data["report"]["labels"]),
        "data_fingerprint": data["fingerprint"],
        "data_licenses": _licenses(data["sources"]),
        "commercial_use": commerce(data["sources"]),
        "trainable_parameters": environment.get("trainable_parameters"),
        "scores": {
            part: {m: round(s[m].value, 4) for m in config.build_task().headline if m in s}
            for part, s in run.scores().items()
        },
        "worth": [f"{part}: {one.text}" for part, one in run.claims().shown()],
        "exports": exports_of(run.folder),
    } | {f"adapter_{key}": value for key, value in _adapter(run.adapter).items() if key in ("sha256", "rank", "bytes")}


def _licenses(sources: Iterable[Mapping[str, object]]) -> list[str]:
    return sorted({str(license_of(source)) for source in sources})


def _export(export: Export) -> Mapping[str, object]:
    record, method, place = export.record, export.config().method, export.folder
    inner = next((sort.facts(place) for sort in (_MODEL, _GGUF, _CT2) if sort.fits(place)), {})
    data = [one for source in record["sources"] for one in source["data"]]
    own = {"rank": getattr(method, "r", None), "licenses": _licenses(data), "commercial_use": commerce(data)}
    return {**record, **own, "model": inner}


def _original(place: Path) -> Mapping[str, object]:
    files = sorted(place.glob("consolidated.*.pth"))
    return {
        "params": read_json(place / llama_checkpoint.PARAMS),
        "parts": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": {file.name: sha256(file) for file in files},
    }


def _adapter(place: Path) -> Mapping[str, object]:
    own = (place / fintune_format.SETTINGS).is_file()
    weights = weights_of(place)
    shapes = weight_shapes(weights)
    if own:
        saved = fintune_format.settings(place)
        facts: dict[str, object] = {"method": saved["method"], "settings": saved["options"]}
    else:
        settings = read_json(place / "adapter_config.json")
        facts = {
            "method": str(settings.get("peft_type", "")).lower(),
            "base": settings.get("base_model_name_or_path"),
            "rank": settings.get("r"),
            "alpha": settings.get("lora_alpha"),
        }
    return facts | {
        "tensors": len(shapes),
        "parameters": sum(map(prod, shapes.values())),
        "bytes": weights.stat().st_size,
        "sha256": file_sha256(weights),
    }


def _on(place: Path, base: str) -> Facts:
    """Return whether an adapter fits a base model, found without its weights."""
    check_reference(base, "cpu")
    if (digest := sha256_at_hand(base)) is None:
        fits = "not known: that base model is not at hand"
    elif (place / fintune_format.SETTINGS).is_file():
        fits = "not known: FinTune's own format is compared when it is loaded"
    else:
        try:
            need_fit(place, peft_settings(place), base)
            fits = "yes: names and shapes of its layers are those of the base model"
        except ModelError as error:
            fits = f"no: {error.message}"
    return {"put_on": base, "put_on_sha256": digest, "fits": fits}


def _model(place: Path) -> Mapping[str, object]:
    config = read_json(place / "config.json")
    need_shards(place)
    files = files_sha256(place)
    shapes = {name: shape for file in place.glob("*.safetensors") for name, shape in weight_shapes(file).items()}
    family, architectures = family_of(config.get("model_type")), config.get("architectures")
    return {
        "model_type": config.get("model_type"),
        "architecture": next(iter(architectures), None) if isinstance(architectures, list) else None,
        "blocks": config.get("num_hidden_layers") or config.get("num_layers"),
        "width": config.get("hidden_size") or config.get("d_model"),
        "vocabulary": config.get("vocab_size"),
        "parameters": sum(map(prod, shapes.values())),
        "bytes": sum(file.stat().st_size for file in place.glob("*.safetensors")),
        "license": family.license if family else None,
        "sha256": joined(files),
        "files": files,
    }


def _gguf(place: Path) -> Mapping[str, object]:
    if find_spec("gguf") is None:
        raise BrokenEnvironment(f"{place}: gguf is not installed", hint=with_extra("embedded"))
    from gguf import GGUFReader

    file = place if place.is_file() else next(iter(sorted(place.glob("*.gguf"))))
    need_readable(file)
    need_whole(file)
    try:
        reader = GGUFReader(file)
        settings = {n: f.contents() for n, f in reader.fields.items() if not n.startswith(("tokenizer.", "GGUF."))}
        types = sorted({tensor.tensor_type.name for tensor in reader.tensors})
    except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise ModelError(f"{file}: damaged: {error}", hint="Copy it again.") from None
    return {
        "architecture": settings.get("general.architecture"),
        "settings": settings,
        "types": types,
        "tensors": len(reader.tensors),
        "parameters": sum(int(tensor.n_elements) for tensor in reader.tensors),
        "bytes": file.stat().st_size,
        "sha256": sha256(file),
    }


def _ct2(place: Path) -> Mapping[str, object]:
    weights = place / "model.bin"
    return {"config": read_json(place / "config.json"), "bytes": weights.stat().st_size, "sha256": file_sha256(weights)}


_MODEL = Sort(
    name="model folder",
    fits=lambda p: (p / "config.json").is_file() and any(p.glob("*.safetensors")),
    facts=_model,
)
_GGUF = Sort(
    name="gguf",
    fits=lambda p: (p.suffix == ".gguf" and p.is_file()) or (p.is_dir() and any(p.glob("*.gguf"))),
    facts=_gguf,
)
_CT2 = Sort(
    name="CTranslate2 folder",
    fits=lambda p: (p / "model.bin").is_file() and (p / "config.json").is_file(),
    facts=_ct2,
)
SORTS = (
    Sort(name="run", fits=lambda p: (p / "config.yaml").is_file(), facts=_run, open=Run.open),
    Sort(
        name="export",
        fits=lambda p: (p / EXPORT_RECORD).is_file() and (p / EXPORT_SETTINGS).is_file(),
        facts=_export,
        open=Export,
    ),
    Sort(
        name="adapter",
        fits=lambda p: (p / "adapter_config.json").is_file() or (p / fintune_format.SETTINGS).is_file(),
        facts=_adapter,
    ),
    _MODEL,
    Sort(name="LLaMA, original", fits=llama_checkpoint.is_original, facts=_original),
    _GGUF,
    _CT2,
)


def lines(facts: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return names and values as a screen shows them; --json has them whole."""
    return [
        (name, shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LONGEST))
        for name, value in facts.items()
    ]

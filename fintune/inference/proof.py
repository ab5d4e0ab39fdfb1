"""What is rebuilt from a run, before it answers: beside the answers that were stored when the run was scored.

Compared once for each run, way of rebuilding, machine and version; the verification is kept in the user's cache, as a run folder may be
read-only.

Example:
    model = proved(run, load_tuned(run), again=lambda: load_tuned(run))
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import TYPE_CHECKING, cast

from fintune.errors import ModelError
from fintune.inference.agreement import EXACT, Verification, compare
from fintune.inference.answer import predict
from fintune.inference.load import engine
from fintune.methods import METHODS
from fintune.records import Prediction
from fintune.runs import manifest
from fintune.runs.export_schema import VerificationRecord
from fintune.runs.files import MANIFEST
from fintune.runs.run import Run
from fintune.runtime.cache import cache_folder, key_of
from fintune.runtime.files import sha256, write_atomically
from fintune.runtime.progress import tell
from fintune.runtime.untrusted import parse_object, read_text

if TYPE_CHECKING:
    from fintune.models import LoadedModel

_TEXTS = 16
"""Number of stored answers that are compared, at even distances: about a second on a small model."""
_NEAR = 0.25
"""By how much a probability may differ where weights or sums are rounded: those of an unsure text move by a tenth with the batch it
is in, and what was rebuilt wrongly is off by halves."""
_FILE = "comparisons.json"
_MOST = 1000
_PACKAGES = ("fintune", "torch", "transformers", "peft", "bitsandbytes")
_NEEDED = VerificationRecord.__required_keys__


def proved(run: Run, tuned: "LoadedModel", *, merge: bool, again: "Callable[[], LoadedModel]") -> "LoadedModel":
    """Return the model that answers for a run: merged if asked and if that answers as was stored, else as its adapter does.

    `again` loads what `tuned` was, which merging changes. Raises ModelError when the adapter answers otherwise, too.
    """
    config = run.config()
    method = METHODS[config.method.name]
    if merge and _agrees(run, tuned, known(run, "merged", tuned)):
        whole = replace(tuned, model=method.merged(tuned.model, config.method))
        if _agrees(run, whole, _compared(run, "merged", whole)):
            return whole
        tell("model", "merged, the adapter answers otherwise than was stored; it is used as it is")
        tuned = again()
    verification = _compared(run, "adapter", tuned)
    if not _agrees(run, tuned, verification):
        raise ModelError(
            f"{run.folder}: answers otherwise than when it was scored: {verification.in_words()}, and a probability differs by up to "
            f"{verification.largest_difference:.2g}",
            hint=f"Use the versions and the machine of its environment.json, or score it here: {manifest.rescore(run)}",
        )
    return tuned


def known(run: Run, how: str, loaded: "LoadedModel") -> Verification | None:
    """Return the verification made before, of this run as it is, rebuilt so, on this machine with these versions."""
    record = _records().get(_key(run, how, loaded))
    if not isinstance(record, dict) or not record.keys() >= _NEEDED:
        return None
    return Verification.of(cast("VerificationRecord", record))


def compared(run: Run, how: str, loaded: "LoadedModel", measure: Callable[[], Verification]) -> Verification:
    """Return the verification made before, or make it now."""
    if (before := known(run, how, loaded)) is not None:
        return before
    verification, key = measure(), _key(run, how, loaded)
    kept = dict([*_records().items()][-_MOST:]) | {key: verification.record()}
    with suppress(OSError):  # not to be remembered is no reason to fail
        write_atomically(cache_folder() / _FILE, json.dumps(kept, indent=1))
    return verification


def _compared(run: Run, how: str, loaded: "LoadedModel") -> Verification:
    return compared(run, how, loaded, lambda: _measured(run, loaded))


def _measured(run: Run, loaded: "LoadedModel") -> Verification:
    """Return some of the stored answers beside what this model says to their texts."""
    config, stored = run.config(), run.predictions("validation")
    chosen = stored[:: max(1, len(stored) // _TEXTS)][:_TEXTS]
    task = config.build_task()
    answered = predict(engine(config, loaded), task, [p.example for p in chosen], stage="compare")
    return compare(task, chosen, answered.predictions, _tolerance(run, loaded))


def _agrees(run: Run, loaded: "LoadedModel", verification: Verification | None) -> bool:
    """Whether a comparison is near enough; one that was never made is no reason against."""
    if verification is None:
        return True
    most = _tolerance(run, loaded) or _NEAR
    return verification.largest_difference <= most and (most > EXACT or not verification.changed)


def _tolerance(run: Run, loaded: "LoadedModel") -> float | None:
    """Return by how much the very weights may differ; None where weights or sums were rounded, then or now."""
    import torch

    return EXACT if scored_in_full(run) and loaded.model.dtype == torch.float32 else None


def _records() -> dict[str, object]:
    with suppress(OSError, ValueError):
        return parse_object(read_text(cache_folder() / _FILE))
    return {}


def _key(run: Run, how: str, loaded: "LoadedModel") -> str:
    files = [sha256(run.folder / name) for name in (MANIFEST, "predictions.validation.jsonl")]
    where = [str(loaded.device), str(loaded.model.dtype), loaded.sha256]
    return key_of([how, *files, *where, [_version(name) for name in _PACKAGES]])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def stored_answers(run: Run) -> list[Prediction]:
    """Return what the run answered on its validation texts. Raises ModelError when there are none, or not those of data.json."""
    stored, ids = run.predictions("validation"), run.data()["ids"].get("validation", [])
    if not ids:
        raise ModelError(
            f"{run.folder}: no validation texts, and nothing can be proved without", hint="Train it again with some."
        )
    task = run.config().build_task()
    whole = all(_is_whole(task.choices(p.example) or {}, p) for p in stored)
    if [p.id for p in stored] != ids or not whole:
        raise ModelError(
            f"{run.folder}/predictions.validation.jsonl: damaged: not the answers to the texts of data.json",
            hint="Copy the run folder again.",
        )
    return stored


def _is_whole(choices: Mapping[str, str], prediction: Prediction) -> bool:
    shares = prediction.probabilities
    return shares.keys() == choices.keys() and all(map(isfinite, shares.values()))


def scored_in_full(run: Run) -> bool:
    """Whether the stored answers are those of float32 weights, none of them rounded."""
    model = run.config().model
    rounded = model.dtype == "auto" and "cuda" in str(run.environment().get("accelerator"))
    return not model.quantized and model.dtype in ("auto", "float32") and not rounded

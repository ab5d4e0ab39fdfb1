"""What was written, read back and asked the texts whose answers are known: the proof of an export, and its record.

Example:
    record, verification = verified(run, FORMATS["merged"], "float32", Path("folder"), model.expected, allow_loss=False)
    verification.changed
    # 0
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fintune.config.run_config import RunConfig
from fintune.data.readers.sources import expand
from fintune.errors import FintuneError, ModelError
from fintune.export.merge import Expected
from fintune.export.registry import Format
from fintune.inference.agreement import Verification, compare, need_equal
from fintune.inference.answer import predict
from fintune.inference.artifacts import opened
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.open import calibration_of
from fintune.inference.proof import scored_in_full
from fintune.records import Prediction
from fintune.runs.export_schema import ConfidenceRecord, ExportRecord, ReferenceRecord
from fintune.runs.exported import EXPORT_VERSION, digests
from fintune.runs.run import Run
from fintune.runtime.files import sha256
from fintune.runtime.install import not_installed
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.shell import typed
from fintune.tasks import Task


@dataclass(frozen=True, kw_only=True)
class _ReadBack:
    """What came back of the files that were written, and how long that took (seconds)."""

    answers: list[Prediction]
    loading: float
    answering: float


def verified(
    run: Run | ForeignAdapter, form: Format, dtype: str, place: Path, expected: Expected, *, allow_loss: bool
) -> tuple[ExportRecord, Verification]:
    """Read what was written and ask it the validation texts, or those of the user's own. Raises ModelError where answers differ."""
    config, what = run.config(), f"{form.name}, {dtype}"
    with of_libraries(f"{what}: does not run"):
        back = _read_back(config, form, place, expected)
    as_stored = isinstance(run, Run) and expected.of_one and scored_in_full(run)
    rescore = f"fintune evaluate {typed(run.folder)} --split validation" if as_stored else None
    task = config.build_task()
    verification = compare(task, expected.answers, back.answers, form.dtypes[dtype])
    need_equal(verification, form.dtypes[dtype], what, allow_loss=allow_loss, rescore=rescore)
    beside = None
    if isinstance(run, Run) and expected.of_one and not as_stored:
        beside = compare(task, run.predictions("validation"), back.answers, None)
        need_equal(beside, None, f"{what}, beside the rounded base", allow_loss=allow_loss)
    record: ExportRecord = {
        "version": EXPORT_VERSION,
        "format": form.name,
        "format_version": form.version,
        "dtype": dtype,
        "base": config.model.base,
        "base_sha256": expected.base_sha256,
        "method": config.method.name,
        "sources": list(expected.sources),
        "megabytes": sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6,
        "load_seconds": back.loading,
        "texts_per_second": len(back.answers) / back.answering,
        "files": digests(place),
        **verification.record(),
        "reference": reference_of(run),
        "beside_the_run": None if beside is None else beside.record(),
        "confidence": _confidence(run, task, expected, back.answers),
    }
    return record, verification


def _confidence(
    run: Run | ForeignAdapter, task: Task, expected: Expected, answers: Sequence[Prediction]
) -> ConfidenceRecord | None:
    """Return what the run's calibration is worth here; None where it has none, or others were merged with it."""
    calibration = calibration_of(run) if expected.of_one else None
    return None if calibration is None else calibration.kept(task, expected.answers, answers)


def _read_back(config: RunConfig, form: Format, place: Path, expected: Expected) -> _ReadBack:
    begun = time.monotonic()
    running = opened(form, place, config, base_sha256=expected.base_sha256)
    loaded = time.monotonic()
    examples = [replace(answer.example, target=None) for answer in expected.answers]
    answered = predict(running, config.build_task(), examples, stage=f"verify {form.name}")
    return _ReadBack(answers=answered.predictions, loading=loaded - begun, answering=time.monotonic() - loaded)


def reference_of(run: Run | ForeignAdapter) -> ReferenceRecord | None:
    """Return what the answers are that an adapter trained elsewhere is compared with; of a run they are those of its validation texts."""
    if isinstance(run, Run):
        return None
    names = [one.reference if one.hub else str(one.path.resolve()) for one in expand(run.proof or "")]
    digests_of = [None if one.hub else sha256(one.path) for one in expand(run.proof or "")]
    return {"answers": "the adapter's own, before it was merged", "file": ", ".join(names), "sha256": digests_of}


@contextmanager
def of_libraries(what: str) -> Iterator[None]:
    """Raise what a format's library cannot do as a refusal of the format, with its own words."""
    try:
        yield
    except (FintuneError, OSError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise not_installed(what, error) from None
    except Exception as error:  # bitsandbytes has sizes its products fail on, CTranslate2 layers it does not know
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ModelError(f"{what}: {reason}", hint="Use another format or --dtype.") from error

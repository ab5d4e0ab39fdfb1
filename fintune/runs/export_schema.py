"""The record in an export's verification.json: a type for whoever reads it, checked when it is read.

Example:
    problem_of({"version": 0})
    # 'version: Input should be greater than or equal to 1'
"""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from fintune.runs.schema import first_problem


class LicensedSource(TypedDict):
    """A source as an export's record names it."""

    name: str
    license: str | None


class RunInExport(TypedDict):
    """A run whose adapter is in an export, or an adapter that was trained elsewhere."""

    run: str
    weight: float
    adapter_sha256: str
    data_fingerprint: str
    data: list[LicensedSource]
    combined: NotRequired[str]
    """How several became one."""
    density: NotRequired[float]


class ReferenceRecord(TypedDict):
    """What the answers are that an adapter trained elsewhere was compared with."""

    answers: str
    file: str
    sha256: list[str | None]


class VerificationRecord(TypedDict):
    """A Verification: answers that were stored, beside those of what was rebuilt."""

    texts: Annotated[int, Field(ge=1)]
    changed: int
    largest_difference: float
    metric: str
    score: float | None
    score_of_run: float | None
    near_ties: NotRequired[Annotated[int, Field(ge=0)]]
    one_label: NotRequired[bool]
    agreement: NotRequired[float]


class ConfidenceRecord(TypedDict):
    """What calibrated probabilities are worth on the validation texts, rebuilt and as the run stored them."""

    nll: float
    nll_of_run: float
    ece: float
    """Debiased, over bins of equal mass."""
    ece_of_run: float


@with_config(ConfigDict(strict=True, extra="allow"))
class ExportRecord(VerificationRecord):
    """The content of an export's verification.json."""

    version: Annotated[int, Field(ge=1)]
    format: str
    format_version: NotRequired[int]
    dtype: str
    base: str
    base_sha256: str | None
    method: str
    sources: Annotated[list[RunInExport], Field(min_length=1)]
    files: Annotated[dict[str, str], Field(min_length=1)]
    megabytes: float
    load_seconds: float
    texts_per_second: float
    reference: NotRequired[ReferenceRecord | None]
    beside_the_run: NotRequired[VerificationRecord | None]
    confidence: NotRequired[ConfidenceRecord | None]


_RECORD = TypeAdapter(ExportRecord)


def problem_of(record: object) -> str | None:
    """Return the first thing wrong with a record; None where its readers find what they look for."""
    try:
        _RECORD.validate_python(record)
    except ValidationError as error:
        return first_problem(error)
    return None

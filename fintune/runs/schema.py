"""The records in a run's files: a type for whoever reads one, checked when it is read.

A run folder may be damaged, or a stranger's: what a reader relies on is there once `problem_of` finds nothing.

>>> problem_of("scores.json", {"splits": []})
'splits: Input should be a valid dictionary'
"""

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, JsonValue, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from fintune.records import SliceKind

_OPEN = ConfigDict(strict=True, extra="allow")
_CLOSED = ConfigDict(strict=True, extra="forbid")


@with_config(_OPEN)
class SourceRecord(TypedDict):
    """A file that data came from, or a part of one."""

    path: str
    name: str
    part: NotRequired[str]
    sha256: NotRequired[str | None]
    format: NotRequired[str | None]
    encoding: NotRequired[str | None]
    guessed: NotRequired[str | None]
    license: NotRequired[str | None]
    rows: NotRequired[int]
    examples: NotRequired[int]


@with_config(_OPEN)
class FindingRecord(TypedDict):
    """Something that `fintune check` found in the data."""

    kind: str
    level: str
    message: NotRequired[str]
    count: NotRequired[int]
    rows: NotRequired[list[str]]


@with_config(_OPEN)
class ReportRecord(TypedDict):
    """What the data hold: a DataReport."""

    rows: int
    labels: dict[str, int]
    unusable: NotRequired[int]
    exact_duplicates: NotRequired[int]
    conflicting_texts: NotRequired[int]
    near_duplicate_rows: NotRequired[int]
    near_duplicate_clusters: NotRequired[int]
    median_words: NotRequired[float | None]
    longest_words: NotRequired[int | None]
    median_characters: NotRequired[float | None]
    longest_characters: NotRequired[int | None]
    parts: NotRequired[dict[str, dict[str, int]]]
    dropped: NotRequired[dict[str, int]]
    tokens: NotRequired[dict[str, float]]
    twins_in_train: NotRequired[dict[str, int]]
    dates: NotRequired[dict[str, list[str]]]
    findings: NotRequired[list[FindingRecord]]


@with_config(_OPEN)
class DataRecord(TypedDict):
    """The content of data.json."""

    ids: dict[str, list[str]]
    fingerprint: str
    task: NotRequired[str]
    sources: NotRequired[list[SourceRecord]]
    report: NotRequired[ReportRecord]


@with_config(_CLOSED)
class ScoreRecord(TypedDict):
    """A Score."""

    value: float
    low: float
    high: float
    n: int


@with_config(_CLOSED)
class StatementRecord(TypedDict):
    """A Statement."""

    kind: str
    level: Literal["severe", "warning", "note"]
    text: str
    values: NotRequired[dict[str, str]]


@with_config(_CLOSED)
class SliceRecord(TypedDict):
    """A Slice."""

    by: SliceKind
    name: str
    scores: dict[str, ScoreRecord]
    metric: str
    rest: float
    p: float | None
    worse: bool


def _whole(one: SliceRecord) -> SliceRecord:
    if one["metric"] not in one["scores"] or (one["worse"] and one["p"] is None):
        raise ValueError("a slice needs a score of its metric, and a p where it is worse")
    return one


class TaskRecord(TypedDict):
    """The task that scores are of."""

    name: NotRequired[str]
    version: NotRequired[int]
    kind: NotRequired[str]
    headline: NotRequired[list[str]]
    """Names of the metrics that are shown first."""


ScoresOfParts = dict[str, dict[str, ScoreRecord]]
"""Part, metric -> score."""


@with_config(_OPEN)
class FiguresRecord(TypedDict):
    """Scores of the model, and of each baseline."""

    splits: ScoresOfParts
    baselines: dict[str, ScoresOfParts]


@with_config(_OPEN)
class ScoresRecord(FiguresRecord):
    """The content of scores.json."""

    task: NotRequired[TaskRecord]
    clean: NotRequired[FiguresRecord | None]
    verdicts: NotRequired[dict[str, list[StatementRecord]] | None]
    slices: NotRequired[dict[str, list[Annotated[SliceRecord, AfterValidator(_whole)]]] | None]


@with_config(_OPEN)
class EnvironmentRecord(TypedDict, total=False):
    """The content of environment.json."""

    base_sha256: str | None
    seed: int
    trainable_parameters: int | None
    parameters: int | None
    train_seconds: float | None
    peak_memory_bytes: int
    seconds_per_1000: float | None
    batch_size: int | None
    memory_bytes: int | None
    torch_threads: int
    accelerator: str | None
    cpu_capability: str
    resumed: list[dict[str, JsonValue]]
    command: list[str]
    packages: dict[str, str | None] | None
    kernels: dict[str, str | None] | None
    git: dict[str, JsonValue] | None


@with_config(_OPEN)
class LogLine(TypedDict, total=False):
    """A line of log.jsonl: a step, or an epoch."""

    step: int
    epoch: float
    loss: float | None
    learning_rate: float | None
    examples: int
    examples_per_second: float
    tokens_per_second: float
    peak_memory_bytes: int
    best: bool


@with_config(_OPEN)
class ForgettingRecord(TypedDict):
    """The content of forgetting.json: perplexity on general text."""

    before: float
    after: float


@with_config(_OPEN)
class _Costs(TypedDict, total=False):
    seeds: int | None
    group: int | None
    trainable_parameters: int | None
    adapter_mb: float | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    seconds_per_1000: float | None
    forgetting: ForgettingRecord | None


@with_config(_OPEN)
class RowRecord(_Costs):
    """A method or a baseline in comparison.json."""

    name: str
    scores: dict[str, ScoreRecord]
    kind: NotRequired[str]
    runs: NotRequired[list[str]]
    clean: NotRequired[dict[str, ScoreRecord] | None]


@with_config(_OPEN)
class PairRecord(TypedDict):
    """Two rows of a comparison, tested against each other."""

    a: str
    b: str
    metric: NotRequired[str]
    difference: NotRequired[ScoreRecord | None]
    p_bootstrap: NotRequired[float | None]
    p_mcnemar: NotRequired[float | None]
    p_holm: NotRequired[float | None]


@with_config(_OPEN)
class PointRecord(TypedDict):
    """A point of a learning curve."""

    name: str
    size: int
    scores: dict[str, ScoreRecord]


@with_config(_OPEN)
class ComparisonRecord(TypedDict):
    """The content of comparison.json."""

    rows: list[RowRecord]
    pairs: NotRequired[list[PairRecord]]
    groups: NotRequired[list[list[str]]]
    pareto: NotRequired[list[str]]
    learning_curve: NotRequired[list[PointRecord]]
    failed: NotRequired[list[dict[str, JsonValue]]]
    recommendation: NotRequired[str | None]
    confidence: NotRequired[float | None]
    part: NotRequired[str]
    headline: NotRequired[list[str]]
    """Names of the metrics that rows are shown by; the first ranks them."""
    n: NotRequired[int]
    leaks: NotRequired[int]


@with_config(_OPEN)
class WordRecord(TypedDict):
    """A word, and by how much the answer's probability falls without it."""

    text: str
    effect: float


@with_config(_OPEN)
class AttributionRecord(TypedDict):
    """An entry of attributions.json."""

    words: list[WordRecord]
    id: NotRequired[str]
    text: NotRequired[str]
    answer: NotRequired[str | float | list[str] | None]
    probability: NotRequired[float | None]


_RECORDS: dict[str, TypeAdapter[object]] = {
    "data.json": TypeAdapter(DataRecord),
    "scores.json": TypeAdapter(ScoresRecord),
    "environment.json": TypeAdapter(EnvironmentRecord),
    "forgetting.json": TypeAdapter(ForgettingRecord),
    "log.jsonl": TypeAdapter(list[LogLine]),
    "comparison.json": TypeAdapter(ComparisonRecord),
    "attributions.json": TypeAdapter(list[AttributionRecord]),
}


def problem_of(name: str, content: object) -> str | None:
    """Return the first thing wrong with the content of a file; None where its readers find what they look for, or have checked it."""
    if (record := _RECORDS.get(name)) is None:
        return None
    try:
        record.validate_python(content)
    except ValidationError as error:
        return first_problem(error)
    return None


def first_problem(error: ValidationError) -> str:
    """Return the first of what pydantic found wrong: where, and what."""
    first = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))

"""What readers of a run's JSON files rely on, checked when one is read: a run folder may be damaged, or a stranger's.

>>> problem_of("scores.json", {"splits": []})
'splits: Input should be an object'
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Source(_Part):
    path: str
    name: str
    part: str = "train"
    sha256: str | None = None
    format: str | None = None
    encoding: str | None = None
    license: str | None = None
    rows: int = 0


class _Finding(_Part):
    kind: str
    level: str
    message: str = ""
    count: int = 0
    rows: list[str] = []


class _Report(_Part):
    rows: int
    labels: dict[str, int]
    unusable: int = 0
    exact_duplicates: int = 0
    conflicting_texts: int = 0
    near_duplicate_rows: int = 0
    near_duplicate_clusters: int = 0
    median_words: float | None = None
    longest_words: int | None = None
    median_characters: float | None = None
    longest_characters: int | None = None
    parts: dict[str, dict[str, int]] = {}
    dropped: dict[str, int] = {}
    tokens: dict[str, float] = {}
    twins_in_train: dict[str, int] = {}
    dates: dict[str, list[str]] = {}
    findings: list[_Finding] = []


class _Data(_Part):
    ids: dict[str, list[str]]
    fingerprint: str
    task: str = ""
    sources: list[_Source] | None = None
    report: _Report | None = None


class _Score(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    value: float
    low: float
    high: float
    n: int


class _Figures(_Part):
    splits: dict[str, dict[str, _Score]]
    baselines: dict[str, dict[str, dict[str, _Score]]]


class _Statement(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    kind: str
    level: Literal["severe", "warning", "note"]
    text: str
    values: dict[str, str] = {}


class _Scores(_Figures):
    clean: _Figures | None = None
    verdicts: dict[str, list[_Statement]] | None = None


class _Environment(_Part):
    base_sha256: str | None = None
    trainable_parameters: int | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_1000: float | None = None
    batch_size: int | None = None
    memory_bytes: int | None = None
    resumed: list[dict[str, Any]] = []
    command: list[str] = []
    packages: dict[str, str | None] | None = None
    kernels: dict[str, str | None] | None = None
    git: dict[str, Any] | None = None


class _Line(_Part):
    step: int = 0
    epoch: float = 0
    loss: float | None = None
    learning_rate: float | None = None
    examples: int = 0
    examples_per_second: float = 1
    peak_memory_bytes: int = 0


class _Forgetting(_Part):
    before: float
    after: float


class _Costs(_Part):
    seeds: int | None = None
    group: int | None = None
    trainable_parameters: int | None = None
    adapter_mb: float | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_1000: float | None = None
    forgetting: _Forgetting | None = None


class _Row(_Costs):
    name: str
    scores: dict[str, _Score]
    kind: str = ""
    runs: list[str] = []
    clean: dict[str, _Score] | None = None


class _Pair(_Part):
    a: str
    b: str
    metric: str = ""
    difference: _Score | None = None
    p_bootstrap: float | None = None
    p_mcnemar: float | None = None
    p_holm: float | None = None


class _Point(_Part):
    name: str
    size: int
    scores: dict[str, _Score]


class _Comparison(_Part):
    rows: list[_Row]
    pairs: list[_Pair] = []
    groups: list[list[str]] = []
    pareto: list[str] = []
    learning_curve: list[_Point] = []
    failed: list[dict[str, Any]] = []
    recommendation: str | None = None
    confidence: float | None = None
    part: str = ""
    n: int = 0
    leaks: int = 0


class _Word(_Part):
    text: str
    effect: float


class _Attribution(_Part):
    words: list[_Word]
    id: str = ""
    text: str = ""
    label: str | None = None
    probability: float | None = None


_HELD: dict[str, TypeAdapter[Any]] = {
    "data.json": TypeAdapter(_Data),
    "scores.json": TypeAdapter(_Scores),
    "environment.json": TypeAdapter(_Environment),
    "forgetting.json": TypeAdapter(_Forgetting),
    "log.jsonl": TypeAdapter(list[_Line]),
    "comparison.json": TypeAdapter(_Comparison),
    "attributions.json": TypeAdapter(list[_Attribution]),
}


def problem_of(name: str, content: Any) -> str | None:
    """Return the first thing wrong with the content of a file; None where its readers find what they look for, or have checked it."""
    if (held := _HELD.get(name)) is None:
        return None
    try:
        held.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return None

"""What readers of a run's JSON files rely on, checked when one is read: a run folder may be damaged, or a stranger's.

>>> problem_of("scores.json", {"splits": []})
'splits: Input should be an object'
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Source(_Part):
    path: str
    name: str
    part: str = "train"
    sha256: str | None = None
    licence: str | None = None
    rows: int = 0


class _Report(_Part):
    rows: int
    exact_duplicates: int
    near_duplicate_rows: int
    near_duplicate_clusters: int
    labels: dict[str, int]


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


class _Scores(_Part):
    splits: dict[str, dict[str, _Score]]
    baselines: dict[str, dict[str, dict[str, _Score]]]


class _Environment(_Part):
    base_sha256: str | None = None
    trainable_parameters: int | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_1000: float | None = None
    batch_size: int | None = None
    resumed: list[dict[str, Any]] = []


class Line(_Part):
    """A line of log.jsonl."""

    examples: int = 0
    examples_per_second: float = 1.0
    peak_memory_bytes: int = 0


class Forgetting(_Part):
    """forgetting.json."""

    before: float
    after: float


_HELD: dict[str, TypeAdapter[Any]] = {
    "data.json": TypeAdapter(_Data),
    "scores.json": TypeAdapter(_Scores),
    "environment.json": TypeAdapter(_Environment),
    "forgetting.json": TypeAdapter(Forgetting),
    "log.jsonl": TypeAdapter(list[Line]),
}


def problem_of(name: str, content: Any) -> str | None:
    """What is wrong with the content of a file, at the first place; None where its readers find what they look for, or have checked it."""
    if (held := _HELD.get(name)) is None:
        return None
    try:
        held.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return None

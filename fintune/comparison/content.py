"""What comparison.json holds as a comparison writes it: every key is there. What readers may rely on is runs.schema's ComparisonRecord."""

from typing import TypedDict

from fintune.runs.schema import ForgettingRecord, ScoreRecord

MetricScores = dict[str, ScoreRecord]
"""A score for each metric of a row."""


class RowContent(TypedDict):
    """A method or a baseline: its scores, what it costs, and the group of rows that cannot be told apart."""

    name: str
    kind: str
    seeds: int
    scores: MetricScores
    clean: MetricScores | None
    trainable_parameters: int | None
    adapter_mb: float | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    seconds_per_1000: float | None
    forgetting: ForgettingRecord | None
    group: int
    ahead: bool | None
    """Whether it is proven better than the floor (the majority class, the mean), as a verdict of a run is; None for the floor itself."""
    runs: list[str]


class PairContent(TypedDict):
    """Two rows and the tests of their difference, the better one as `a`, so that `difference` is above 0."""

    a: str
    b: str
    metric: str
    difference: ScoreRecord
    right: float
    """The difference in the share of right answers."""
    discordant: float
    p_bootstrap: float
    p_mcnemar: float | None
    """None where answers are not right or wrong."""
    p_holm: float


class PointContent(TypedDict):
    """A point of the learning curve."""

    name: str
    size: int
    scores: MetricScores


class FailureContent(TypedDict):
    """A row that could not be trained, and why."""

    name: str
    reason: str


class ResultsContent(TypedDict):
    """What scored rows show."""

    leaks: int
    rows: list[RowContent]
    pairs: list[PairContent]
    groups: list[list[str]]
    recommendation: str
    pareto: list[str]


class ComparisonContent(ResultsContent):
    """The content of comparison.json."""

    fingerprint: str
    part: str
    labels: list[str]
    headline: list[str]
    n: int
    confidence: float
    seeds: list[int]
    learning_curve: list[PointContent]
    failed: list[FailureContent]

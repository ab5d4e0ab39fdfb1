"""The frozen records that travel between stages; none of them knows a model, a config or a file.

Row | Fault (a reader's) -> Example (a task's) -> Encoded | TooLong (the tokenizer's) -> Prediction (an engine's) -> Score (a metric's).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic import JsonValue

Answer = str | float | tuple[str, ...]
"""What a task asks for: a label or a sentence, a number, a list."""
TEXT = "text"
"""The field that stands in data.text_column; any other bears the name of its column."""


def text_of(fields: Mapping[str, str]) -> str:
    """Return all that is read of a record, a line a field: what near-duplicates, leaks and reports go by."""
    return next(iter(fields.values())) if len(fields) == 1 else "\n".join(filter(None, fields.values()))


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a data file, nothing interpreted; `target` is None where the file has none."""

    id: str
    """The record as `file:line`, unique within a run."""
    fields: Mapping[str, str]
    """What the prompt reads, by the names its template has for it."""
    target: str | None
    _: KW_ONLY
    date: str | None = None
    group: str | None = None
    weight: float = 1.0
    """How much it counts in training."""
    record: str = ""
    """The record as `file:line`, where it holds several rows."""
    shares: Mapping[str, float] | None = None
    """Of each label, where annotators disagree; `target` has most."""
    kept: Mapping[str, "JsonValue"] = field(default_factory=dict)
    """Columns of its record that nothing reads, where they are asked for."""
    original: str | None = None
    """The target as the file has it, where data.label_map was applied."""

    @property
    def text(self) -> str:
        """All that is read of it."""
        return text_of(self.fields)


FaultKind = Literal["unreadable", "unread", "column", "unknown-label", "tied-votes", "non-text", "bad-date"]
"""Every sort of unusable record; "unread": nothing behind it could be read either, "column": a wanted column is missing,
"unknown-label": its answer is none that the task knows, "tied-votes": two labels have as many votes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A record that cannot be used."""

    where: str
    """The record as `file:line`."""
    problem: str
    hint: str = ""
    kind: FaultKind = "unreadable"
    value: str = ""
    """The label, where it was read."""
    text: str = ""
    """The text, where it was read."""


@dataclass(frozen=True, slots=True)
class Example:
    """A record whose answer the task has accepted, or, where `target` is None, one that is to be answered."""

    id: str
    fields: Mapping[str, str]
    target: Answer | None
    _: KW_ONLY
    date: str | None = None
    group: str | None = None
    row: str = ""
    """The row or record, where it holds several examples: no split parts them."""
    weight: float = 1.0
    """How much it counts in training."""
    shares: Mapping[str, float] | None = None
    """What is learned of it: the share of each label, `target` most; None: `target` alone."""
    stratum: str | None = None
    """What Task.stratum says of it; None until the data are read, and where a task has no strata."""

    @property
    def text(self) -> str:
        """All that is read of it."""
        return text_of(self.fields)


def strata(examples: Iterable[Example]) -> Counter[str]:
    """Return how many examples there are of each stratum; none where a task has no strata."""
    return Counter(example.stratum for example in examples if example.stratum is not None)


PieceKind = Literal["template", "field", "shortened"]
"""What a piece of a prompt is: written by the template, or of the record, and then whether it may be shortened."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A filled template, in pieces: those marked "shortened" may lose their middle, no other is ever cut."""

    pieces: tuple[tuple[str, PieceKind], ...]
    shown: "tuple[Prompt, ...]" = ()
    """What the model reads before it: prompts, and answers as the text of prompts without a template."""

    @classmethod
    def around(cls, before: str, text: str, after: str) -> "Prompt":
        """Return a text that may be shortened between two pieces of a template."""
        return cls(((before, "template"), (text, "shortened"), (after, "template")))

    @property
    def after(self) -> str:
        """What the template has between the last field and the answer."""
        text, kind = self.pieces[-1] if self.pieces else ("", "template")
        return text if kind == "template" else ""

    def __str__(self) -> str:
        return "".join(map(str, self.shown)) + "".join(text for text, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and of its answer (end token included); `cut` tokens were left out of the middle of its texts."""

    input_ids: list[int]
    answer_ids: list[int]
    cut: int = 0
    weight: float = 1.0
    """Weight of the example in the loss."""
    shares: tuple[float, ...] = ()
    """Of each candidate in the loss; empty: the answer alone is right."""
    stratum: int = 0
    """Number of the example's stratum, for sampling that balances strata."""
    id: str = ""
    """Id of the example, to name it when training fails on it."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A prompt whose template and answer alone need more tokens than the model may see."""

    needed: int
    limit: int


PREDICTION_VERSION = 2
"""Version of stored predictions: 2 has fields, answers of any kind, and names the version."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answered: `answer` is None when what it has written could not be read."""

    id: str
    fields: Mapping[str, str]
    """What the prompt has read."""
    answer: Answer | None
    written: str
    """The answer in the model's words, before it is read."""
    probabilities: Mapping[str, float]
    """Of each choice, raw; empty where the task has none."""
    gold: Answer | None = None
    row: str = ""
    """The row, where it holds several examples: intervals draw rows."""
    labels: tuple[str, ...] = ()
    """The labels that the right one is among, as often as was asked of the calibration; never stored, as the next."""
    abstain: bool | None = None
    """Whether it is not sure enough to stand; None where nothing was asked."""

    @property
    def text(self) -> str:
        """All that was read."""
        return text_of(self.fields)

    @property
    def example(self) -> Example:
        """What was answered, to be answered again."""
        return Example(self.id, self.fields, self.gold, row=self.row)

    @property
    def confidence(self) -> float:
        """Probability of the answer, 0 when it is none of the choices."""
        return self.probabilities.get(self.answer, 0.0) if isinstance(self.answer, str) else 0.0

    @property
    def right(self) -> bool:
        """Whether it is the gold answer."""
        return self.answer == self.gold


def line_of(prediction: Prediction) -> str:
    """Return a prediction as it is stored: JSON on one line; `row` only where a row holds several examples."""
    stored = {"version": PREDICTION_VERSION, **asdict(prediction)}
    for name in ("labels", "abstain", *(() if prediction.row else ("row",))):
        del stored[name]
    return json.dumps(stored, ensure_ascii=False) + "\n"


def lines_of(predictions: Iterable[Prediction]) -> str:
    """Return a line each."""
    return "".join(map(line_of, predictions))


def predictions_in(lines: str) -> list[Prediction]:
    """Return the opposite. Raises ValueError, which names the first line that is none."""
    from pydantic import TypeAdapter, ValidationError

    predictions, read = [], TypeAdapter(_Stored).validate_json
    for number, line in enumerate(lines.split("\n"), start=1):
        try:
            predictions += [read(line, strict=True).prediction()] if line else []
        except ValidationError as error:
            first = error.errors()[0]
            place = f"line {number}", ".".join(map(str, first["loc"])), first["msg"]
            raise ValueError(": ".join(filter(None, place))) from None
    return predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What a line of stored predictions must hold."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    version: Literal[2]
    id: str
    fields: Mapping[str, str]
    answer: Answer | None
    written: str
    probabilities: Mapping[str, float]
    gold: Answer | None = None
    row: str = ""

    def prediction(self) -> Prediction:
        return Prediction(self.id, self.fields, self.answer, self.written, self.probabilities, self.gold, self.row)


@dataclass(frozen=True, slots=True)
class Score:
    """A metric with its bootstrap interval, over `n` examples."""

    value: float
    low: float
    high: float
    n: int


Scores = dict[str, Score]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a run's scores are worth, in one plain sentence: the same on every screen and page that shows them."""

    kind: str
    level: Literal["severe", "warning", "note"]
    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    """The parts of the sentence, for a page in another language."""


SliceKind = Literal["group", "year", "quarter", "length", "source", "language"]
"""What the texts of a slice have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The texts of a part that have something in common, how good the model is on them, and whether that is worse than on the others."""

    by: SliceKind
    name: str
    scores: Scores
    """The task's headline metrics, and `metric`."""
    metric: str
    """The metric that the test is of."""
    rest: float
    """That metric on the other texts of the part."""
    p: float | None
    """Of its being worse by chance alone, corrected for all slices of the part; None where there are too few texts for a test."""
    worse: bool


@dataclass(frozen=True)
class Claims:
    """What scores.json says beside the figures, by part: what they are worth, and where rows are known, scores on the others."""

    verdicts: dict[str, list[Statement]] = field(default_factory=dict)
    splits: dict[str, Scores] = field(default_factory=dict)
    baselines: dict[str, dict[str, Scores]] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=dict)

    def of(self, part: str) -> list[Statement]:
        """Return what is said of a part."""
        return self.verdicts.get(part, [])

    def shown(self) -> list[tuple[str, Statement]]:
        """Return what a reader of all scores must know: everything of the part that counts, of the others which rows are known."""
        first = next((part for part in ("test", "validation", *self.verdicts) if part in self.verdicts), None)
        told = [(part, one) for part, of in self.verdicts.items() for one in of]
        return [(part, one) for part, one in told if part == first or one.kind in ("leaks", "all-leak")]

    @property
    def learned_nothing(self) -> bool:
        """Whether the part that counts shows no use in the model."""
        return any(
            one.level == "severe" and one.kind in ("one-label", "loss", "no-better", "behind")
            for _, one in self.shown()
        )

    def with_parts_of(self, other: "Claims") -> "Claims":
        """Return these, and the other's in place of those of the same part."""
        names = {**self.baselines, **other.baselines}
        both = {name: self.baselines.get(name, {}) | other.baselines.get(name, {}) for name in names}
        return Claims(self.verdicts | other.verdicts, self.splits | other.splits, both, {**self.slices, **other.slices})

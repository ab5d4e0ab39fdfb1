"""The frozen records that travel between stages; none of them knows a model, a config or a file.

Row | Fault (a reader's) -> Example (a task's) -> Encoded | TooLong (the tokenizer's) -> Prediction (an engine's) -> Score (a metric's).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a data file, nothing interpreted; `label` is None where the file has none."""

    id: str
    """The record as `file:line`, unique within a run."""
    text: str
    label: str | None
    _: KW_ONLY
    date: str | None = None
    group: str | None = None
    original: str | None = None
    """The label as the file has it, where data.label_map was applied."""


FaultKind = Literal["unreadable", "unread", "column", "unknown-label", "non-text", "bad-date"]
"""Every sort of unusable record; "unread": nothing behind it could be read either, "column": a wanted column is missing."""


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
    """A text whose label the task has accepted."""

    id: str
    text: str
    label: str
    _: KW_ONLY
    date: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A filled template: only `text` may be shortened, `before` and `after` never."""

    before: str
    text: str
    after: str
    shown: "tuple[Prompt, ...]" = ()
    """What the model reads before it: prompts, and answers as the text of prompts without a template."""

    def __str__(self) -> str:
        return "".join(map(str, self.shown)) + self.before + self.text + self.after


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and of its answer (end token included); `cut` tokens were left out of the text's middle."""

    input_ids: list[int]
    labels: list[int]
    cut: int = 0
    weight: float = 1.0
    """Weight of the example in the loss."""
    stratum: int = 0
    """Number of the example's label, for sampling that balances labels."""
    id: str = ""
    """Id of the example, to name it when training fails on it."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A prompt whose template and answer alone need more tokens than the model may see."""

    needed: int
    limit: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answered: `label` is None when the answer could not be read."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    id: str
    text: str
    answer: str
    """The answer as the model gives it, before it is read as a label."""
    label: str | None
    probabilities: Mapping[str, float]
    gold: str | None = None

    @property
    def confidence(self) -> float:
        """Probability of the predicted label, 0 when there is none."""
        return self.probabilities.get(self.label, 0.0) if self.label is not None else 0.0


def lines_of(predictions: Iterable[Prediction]) -> str:
    """Return a JSON object a line."""
    return "".join(json.dumps(asdict(prediction), ensure_ascii=False) + "\n" for prediction in predictions)


def predictions_in(lines: str) -> list[Prediction]:
    """Return the opposite. Raises ValueError, which names the first line that is none."""
    from pydantic import TypeAdapter, ValidationError

    found, read = [], TypeAdapter(Prediction).validate_json
    for number, line in enumerate(lines.split("\n"), start=1):
        try:
            found += [read(line, strict=True)] if line else []
        except ValidationError as error:
            first = error.errors()[0]
            told = f"line {number}", ".".join(map(str, first["loc"])), first["msg"]
            raise ValueError(": ".join(filter(None, told))) from None
    return found


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


@dataclass(frozen=True)
class Claims:
    """What scores.json says beside the figures, by part: what they are worth, and where rows are known, scores on the others."""

    verdicts: dict[str, list[Statement]] = field(default_factory=dict)
    splits: dict[str, Scores] = field(default_factory=dict)
    baselines: dict[str, dict[str, Scores]] = field(default_factory=dict)

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
        return Claims(self.verdicts | other.verdicts, self.splits | other.splits, both)

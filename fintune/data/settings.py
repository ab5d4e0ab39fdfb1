"""Section `data`: the labeled text, how it is read, and how it is split."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fintune.data.quality.cleanup import DROPS, FAULTS, LEAKS
from fintune.data.readers.formats import READERS
from fintune.errors import did_you_mean
from fintune.runtime.settings import Section


class SplitSection(Section):
    """How examples are divided."""

    by: Literal["near-duplicates", "stratified", "random", "group", "time"] = Field(
        "near-duplicates",
        description="near-duplicates (stay together, labels keep their share) | stratified | random | group | time (oldest to train).",
    )
    train: float = Field(0.7, gt=0, lt=1, description="Share to learn from.")
    validation: float = Field(0.1, gt=0, lt=1, description="Share by which the best epoch is chosen.")
    test: float = Field(0.2, gt=0, lt=1, description="Share scored once, at the end.")
    seed: int = Field(0, ge=0, lt=2**32, description="Another seed, another split.")
    folds: int = Field(0, ge=0, le=100, description="2 or more: what test leaves is cut into so many folds.")
    fold: int = Field(0, ge=0, description="The fold, from 0, that is validation; the others are train.")
    train_examples: int | None = Field(
        None,
        ge=2,
        description="Learn from so many of the train part only: labels keep their share, and of one seed the smaller lie within"
        " the larger; null: all.",
    )

    @property
    def fractions(self) -> dict[str, float]:
        """Shares by part, in order."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


Paths = str | list[str]


class SourceSection(Section):
    """One of several sources, and how it is read where that is not as section data says."""

    path: Paths = Field(description="As data.path.")
    label: str | None = None
    weight: float = Field(1.0, gt=0)
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_map: dict[str, str] | None = None
    label_cuts: list[float] | None = None
    label_columns: dict[str, str] | None = None
    agreement: float | None = None
    agreement_column: str | None = None
    decimal: Literal[".", ","] | None = None
    date_column: str | None = None
    date_format: str | list[str] | None = None
    group_column: str | None = None
    weight_column: str | None = None
    where: dict[str, Any] | None = None
    explode: str | None = None


class DataSection(Section):
    """The labeled text."""

    path: Paths | dict[str, Paths] = Field(
        "builtin:headlines",
        description="A file, a glob, a list of them, {label: file}, builtin:headlines, a folder that datasets saved, or"
        " hf:owner/name@revision#split.",
    )
    sources: list[SourceSection] = Field(
        [],
        description="In place of path: sources that are read differently, each {path: ...} with settings of its own where they are not"
        " those of this section, `label` and `agreement` (of all its rows), `weight`.",
    )
    validation: str | list[str] | None = Field(None, description="Files of the validation part, if it is given.")
    test: str | list[str] | None = Field(None, description="Files of the test part, if it is given.")
    format: str = Field("auto", description=f"auto | {' | '.join(READERS)}")
    encoding: str = Field("auto", description="auto: utf-8 where the file is, else what is found; phrasebank: latin-1.")
    delimiter: str = Field("auto", description="Of csv files; auto: found.")
    header: bool | None = Field(
        None, description="Whether a table begins with names; null: yes, unless columns are numbers."
    )
    text_column: str = Field("text", description="Column that holds the text; 1 is the first, -1 the last.")
    label_column: str = Field("label", description="Column that holds the label.")
    label_map: dict[str, str] = Field(
        {},
        description="Label in the file: label of the task, for example {0: negative}; a key goes before a name of the task.",
    )
    label_cuts: list[float] = Field(
        [], description="Values at which numbers in label_column are cut into the task's labels, in their order."
    )
    label_columns: dict[str, str] = Field(
        {},
        description="Soft labels, for example {positive: votes_up, negative: votes_down}: columns of votes or shares, in place of"
        " label_column; train.objective: candidates learns them, scores go by the label with most.",
    )
    agreement_column: str | None = Field(
        None,
        description="Soft labels: column of the share of annotators who chose the label; the others share the rest.",
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of numbers in label_column.")
    date_column: str | None = Field(None, description="Column that holds a date.")
    date_format: str | list[str] | None = Field(None, description="Such as '%d/%m/%Y', or several; null: ISO 8601.")
    group_column: str | None = Field(
        None, description="Column whose value must not stand on two sides (split.by: group)."
    )
    weight_column: str | None = Field(
        None, description="Column of positive weights: how much a row counts in training."
    )
    where: dict[str, Any] = Field(
        {}, description="Rows that are wanted, for example {year: '>= 2020', source: [wire, filing]}."
    )
    explode: str | None = Field(
        None,
        description="Column that holds a list or an object: a row of each entry, whose fields are read as column.field; of an object"
        " column.key and column.value.",
    )
    limit: int | None = Field(
        None, ge=10, description="So many examples of all parts, for a quick try; labels keep their share. null: all."
    )
    drop: list[str] = Field(
        ["empty", "exact-duplicates"], description=f"Rows to leave out: {' | '.join([*FAULTS, *DROPS, LEAKS])}."
    )
    redact: list[Literal["email", "phone", "iban", "card", "national-id"]] = Field(
        [], description="Personal data to blot out: email | phone | iban | card | national-id; needs fintune[pii]."
    )
    license: str | dict[str, str] | None = Field(
        None, description="Of the data; {file name: license} where files differ."
    )
    commercial: bool = Field(
        False, description="true: refuse data whose license forbids commercial use, or is not said."
    )
    split: SplitSection = SplitSection()

    @field_validator("path")
    @classmethod
    def _some(cls, path: object) -> object:
        if path in ({}, []):
            raise ValueError("must name a file, or a file for each label")
        return path

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "auto" and name not in READERS:
            raise ValueError(f"unknown format. {did_you_mean(name, ['auto', *READERS])}")
        return name

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str) -> str:
        if delimiter not in ("auto", "\\t") and len(delimiter) != 1:
            raise ValueError("must be one character, \\t, or auto")
        return delimiter

    @field_validator("label_map", mode="before")
    @classmethod
    def _keys_as_labels(cls, mapping: object) -> object:
        """Keys as a file's labels are read: truth values in words, nothing around them; no two the same."""
        if not isinstance(mapping, Mapping):
            return mapping
        keys = [
            "" if key is None else str(key).lower() if isinstance(key, bool) else str(key).strip() for key in mapping
        ]
        for key, count in Counter(keys).items():
            if count > 1:
                raise ValueError(f"the key '{key}' stands there twice")
        values = (value.strip() if isinstance(value, str) else value for value in mapping.values())
        return dict(zip(keys, values, strict=True))

    @field_validator("drop")
    @classmethod
    def _droppable(cls, names: list[str]) -> list[str]:
        allowed = [*FAULTS, *DROPS, LEAKS]
        for name in names:
            if name not in allowed:
                raise ValueError(f"unknown kind of row '{name}'. {did_you_mean(name, allowed)}")
        return names

    @model_validator(mode="after")
    def _columns_of_the_split(self) -> Self:
        for by, column in (("group", self.group_column), ("time", self.date_column)):
            if self.split.by == by and column is None:
                raise ValueError(f"split.by: {by} needs data.{'group' if by == 'group' else 'date'}_column")
        if self.split.folds == 1 or self.split.fold >= max(1, self.split.folds):
            raise ValueError(f"split.fold: {self.split.fold} is not one of {self.split.folds} folds (2 or more)")
        if self.split.folds and self.validation is not None:
            raise ValueError("split.folds: validation is given, so there is nothing to fold")
        return self

    @property
    def paths(self) -> dict[str, list[str]]:
        """The files of each part; `train` alone when the rest is split off it."""
        train = [path for one in self.train_sources() for path in _listed(one.path)]
        given = {part: _listed(p) for part, p in self.given.items()}
        return {"train": train, **given}

    @property
    def given(self) -> dict[str, Paths]:
        """The files of parts that are given."""
        named = {"validation": self.validation, "test": self.test}
        return {part: path for part, path in named.items() if path is not None}

    def train_sources(self) -> list[SourceSection]:
        """Return the sources of what is learned and split; one, unless labels stand in names or sources are read differently."""
        if self.sources:
            return self.sources
        if isinstance(self.path, dict):
            return [SourceSection(path=path, label=label) for label, path in self.path.items()]
        return [SourceSection(path=self.path)]

    def like(self, source: SourceSection) -> Self:
        """Return how a source is read: its own settings before these."""
        own = {name: getattr(source, name) for name in source.model_fields_set & type(self).model_fields.keys()}
        return self.model_copy(update={name: value for name, value in own.items() if value is not None})


def _listed(paths: Paths) -> list[str]:
    return [paths] if isinstance(paths, str) else paths

"""What a format function knows of the file it is to read, and the lines of a text file, none longer than memory bears."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

from fintune.data.readers.packed import open_text
from fintune.errors import DataError, DataErrorKind, did_you_mean
from fintune.records import TEXT, Fault, FaultKind

Fields = Mapping[str, object]
"""A record as values by column."""
LONGEST_RECORD = 1_000_000
"""Most characters of a line or record; a longer one is no text but a damaged file."""

_ENDS = ("\n", "\r")


@dataclass(frozen=True, slots=True)
class Broken:
    """What is wrong with a record, and what to do about it."""

    problem: str
    hint: str
    kind: FaultKind = "unreadable"


class _Rest(TypedDict, total=False):
    need_label: bool
    votes: Mapping[str, str]
    agreement: str | None
    weight: str | None
    where: Sequence[str]
    explode: str | None
    date: str | None
    group: str | None


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read (a number counts columns from 1, from the end when negative)."""

    text: str = "text"
    label: str = "label"
    _: KW_ONLY
    name: str = TEXT
    """The field that stands in `text`."""
    more: Mapping[str, str] = field(default_factory=dict)
    """The column of every other field."""
    need_label: bool = True
    votes: Mapping[str, str] = field(default_factory=dict)
    """The column of each label's votes, where labels have such."""
    agreement: str | None = None
    date: str | None = None
    group: str | None = None
    weight: str | None = None
    where: Sequence[str] = ()
    """Columns that say which rows are wanted."""
    explode: str | None = None
    """Column whose entries are rows of their own."""
    keep: bool = False
    """Whether rows keep all columns of their records."""
    everything: bool = False
    """Whether nothing is known of the columns: all are read, and none is missed."""

    @classmethod
    def all(cls) -> "Columns":
        """Return what reads a file whose columns are not known yet."""
        return cls(need_label=False, everything=True)

    @classmethod
    def of(cls, fields: Sequence[str], text: str, label: str, **rest: Unpack[_Rest]) -> "Columns":
        """Return the columns of a prompt's fields: TEXT stands in `text`, any other in the column of its name."""
        first = TEXT if TEXT in fields else fields[0]
        more = {name: name for name in fields if name != first}
        return cls(text if first == TEXT else first, label, name=first, more=more, **rest)

    def fields(self) -> dict[str, str]:
        """Return the column of each field."""
        return {self.name: self.text, **self.more}

    def wanted(self) -> list[tuple[str, str]]:
        """Return columns that must be there, each with the setting that names it."""
        if self.everything:
            return []
        first = "data.text_column" if self.name == TEXT else "task.prompt"
        named = [(first, self.text), *(("task.prompt", column) for column in self.more.values())]
        named += [("data.label_column", self.label)] if self.need_label else []
        named += [("data.label_columns", column) for column in self.votes.values()]
        named += [("data.agreement_column", self.agreement)] if self.agreement is not None else []
        named += [("data.date_column", self.date)] if self.date is not None else []
        named += [("data.group_column", self.group)] if self.group is not None else []
        named += [("data.weight_column", self.weight)] if self.weight is not None else []
        named += [("data.explode", self.explode)] if self.explode is not None else []
        return named + [("data.where", column) for column in self.where]

    def within(self, names: Collection[str]) -> bool:
        """Whether all that are wanted are among a file's columns, or lie in one of these."""
        return all(top_of(column, names) in names for _, column in self.wanted())

    def read(self, names: Sequence[str]) -> list[str]:
        """Return those of a file's columns that are read, each once."""
        if self.everything or self.keep:
            return list(names)
        wanted = (column for _, column in self.wanted())
        return [name for name in dict.fromkeys(top_of(c, names) for c in (*wanted, self.label)) if name in names]

    def by_number(self) -> bool:
        """Whether all of them are numbers: the file has no header line."""
        return not self.everything and all(is_number(column) for _, column in self.wanted())

    def backwards(self) -> bool:
        """Whether one of them is counted from the end."""
        return self.by_number() and any(column.startswith("-") for _, column in self.wanted())


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a file is to be read; what was left to us has been found."""

    name: str
    """The file as errors and ids name it."""
    columns: Columns
    encoding: str = "utf-8"
    delimiter: str | None = None
    header: bool | None = None
    part: str = ""
    """The sheet or split: what follows `#` in the path."""


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names of columns, the second `a` as `a_2`, so that no column hides another."""
    taken: dict[str, None] = {}
    for name in names:
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        taken[free] = None
    return list(taken)


def is_number(column: str) -> bool:
    """Whether a column is named by its place."""
    return column.lstrip("-").isdigit()


def top_of(column: str, names: Collection[str]) -> str:
    """Return the member of a record in which a column lies: of `info.0.score`, where no member is called so, `info`."""
    return column if column in names else column.partition(".")[0]


def value_at(record: Fields, path: str) -> object:
    """Return the member of that name, or what lies at a path (`info.0.score`) within members; None where there is none."""
    if path in record or "." not in path:
        return record.get(path)
    value: object = record
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def lines(path: Path, encoding: str, newline: str | None = None) -> Iterator[tuple[int, str | Broken]]:
    """Numbered lines; bytes that do not decode become lone surrogates, which `readers` refuses row by row."""
    with open_text(path, encoding, newline) as file:
        number = 0
        while content := file.readline(LONGEST_RECORD):
            number += 1
            if len(content) < LONGEST_RECORD or content.endswith(_ENDS):
                yield number, content
                continue
            while (rest := file.readline(LONGEST_RECORD)) and not rest.endswith(_ENDS):
                pass
            yield number, Broken(f"longer than {LONGEST_RECORD:,} characters", "The file may be damaged.")


def cells(values: Sequence[object]) -> dict[str, object]:
    """Return a record without names: its columns are numbers from 1."""
    return {str(i): value for i, value in enumerate(values, start=1)}


def need_columns(opening: Opening, line: int, names: Sequence[str]) -> None:
    """Raise DataError when a column that is wanted is missing, or stands there twice."""
    if problem := column_problem(opening.columns, names):
        raise fault_error(
            Fault(where=f"{opening.name}:{line}", problem=problem.problem, hint=problem.hint, kind=problem.kind)
        )


def fault_error(fault: Fault) -> DataError:
    """Return the error that a record which cannot be used comes to, where it is not left out."""
    kind: DataErrorKind = "column" if fault.kind == "column" else "unusable"
    return DataError(f"{fault.where}: {fault.problem}", hint=fault.hint, kind=kind)


def column_problem(columns: Columns, names: Sequence[str]) -> Broken | None:
    """Return what is wrong with the columns of a file or a record, all that are missing at once."""
    wanted, shown = columns.wanted(), ", ".join(names)[:300] or "nothing"
    missing = [(setting, column) for setting, column in wanted if not {column, top_of(column, names)} & set(names)]
    if not names and missing:
        return Broken(f"no column '{missing[0][1]}'; found {shown}", "Give it a header line.", "column")
    if len(missing) == 1:
        return Broken(f"no column '{missing[0][1]}'; found {shown}", _right_one(*missing[0], columns, names), "column")
    if missing:
        told = ", ".join(f"'{column}' ({setting})" for setting, column in missing)
        hint = "Set each to the right one; without a header line, to its number."
        return Broken(f"no columns {told}; found {shown}", hint, "column")
    if columns.need_label and columns.label in columns.fields().values():  # -1 and 2 may be one column
        problem = f"column {columns.label} is read by the prompt, and is that of the answers (data.label_column)"
        return Broken(problem, "Name another.", "column")
    twice = next((column for _, column in wanted if names.count(column) > 1), None)
    return Broken(f"column '{twice}' stands there twice", "Rename one of them.") if twice is not None else None


def _right_one(setting: str, column: str, columns: Columns, names: Sequence[str]) -> str:
    asked = setting == "task.prompt"
    near = did_you_mean(column, [name[:40] for name in names[:20] if not (asked and name == columns.label)])
    right = f"Set {setting} to the right one; without a header line, to its number."
    return f"{near} {'Have task.prompt name the right one.' if asked else right}"


def by_position(columns: Columns, width: int) -> Columns:
    """Return the same with every negative number counted from the start."""

    def positive(column: str | None) -> str | None:
        return str(width + 1 + int(column)) if column and column.startswith("-") and is_number(column) else column

    return replace(
        columns,
        text=positive(columns.text) or "",
        label=positive(columns.label) or "",
        more={name: positive(column) or "" for name, column in columns.more.items()},
        votes={label: positive(column) or "" for label, column in columns.votes.items()},
        agreement=positive(columns.agreement),
        explode=positive(columns.explode),
        date=positive(columns.date),
        group=positive(columns.group),
        weight=positive(columns.weight),
    )

"""Every file of section `data` to examples: read, parsed by the task, cleaned as asked, with what was left out and why.

Example:
    gathered = gather(config.data, config.build_task())
    {part: len(examples) for part, examples in gathered.parts.items()}
    # {'train': 2259}
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fintune.data.dates import moment
from fintune.data.quality.cleanup import LEAKS, Dropped, clean
from fintune.data.quality.duplicates import twins
from fintune.data.quality.licenses import License
from fintune.data.readers.columns import Columns, fault_error, is_number
from fintune.data.readers.read import Reading, open_source, rows
from fintune.data.readers.sources import BUILTIN, Source, expand, unlike
from fintune.data.reading import reading
from fintune.data.settings import DataSection, SourceSection
from fintune.data.splits import learning_subset
from fintune.errors import DataError, did_you_mean
from fintune.records import Example, Fault, Row
from fintune.runtime.files import sha256
from fintune.runtime.progress import advance, tell
from fintune.tasks import Task

_TICK = 10_000


@dataclass
class Gathered:
    """What the files of a config hold."""

    task: Task
    parts: dict[str, list[Example]] = field(default_factory=dict)
    """Examples by part: `train` alone, or with the parts that are given."""
    sources: list[dict[str, Any]] = field(default_factory=list)
    """For each file its path, name, SHA-256, format, encoding, rows and license."""
    faults: list[Fault] = field(default_factory=list)
    """Records that could not become examples and that data.drop does not name."""
    dropped: list[Dropped] = field(default_factory=list)
    rows: int = 0
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows by their label in the file and what data.label_map made of it."""


def gather(settings: DataSection, task: Task, *, tolerant: bool = False) -> Gathered:
    """Read all files. The first Fault raises DataError, unless data.drop names its kind or `tolerant` collects it."""
    how = reading(settings, task)
    _need_answers_hidden(how.columns)
    _need_numbers(how)
    gathered = Gathered(task)
    for part, section, source in _sources(settings):
        gathered.parts.setdefault(part, [])
        _gather_one(gathered, part, source, settings.like(section), section, tolerant)
    for part, examples in gathered.parts.items():
        gathered.parts[part], gone = clean(examples, settings.drop)
        gathered.dropped += gone
    _need_known_names(settings, gathered.sources)
    if LEAKS in settings.drop:
        _drop_leaks(gathered)
    if settings.limit is not None:
        _limit(gathered, settings.limit, settings.split.seed)
    return gathered


def _sources(settings: DataSection) -> Iterator[tuple[str, SourceSection, Source]]:
    """Yield every file with its part and how it is read; within a part no two names are the same."""
    sections = {"train": settings.train_sources()}
    sections |= {part: [SourceSection(path=path)] for part, path in settings.given.items()}
    for part, ways in sections.items():
        found = [(section, source) for section in ways for source in expand(section.path)]
        names = unlike([source for _, source in found])
        yield from ((part, section, source) for (section, _), source in zip(found, names, strict=True))


def _limit(gathered: Gathered, limit: int, seed: int) -> None:
    """Leave so many examples over all parts, each part and label with its share."""
    total = sum(map(len, gathered.parts.values()))
    if limit < total:
        for part, examples in gathered.parts.items():
            gathered.parts[part] = learning_subset(examples, round(limit * len(examples) / total), seed)
        tell("data", f"data.limit: {limit:,} of {total:,} examples, for a quick try")


def _need_answers_hidden(columns: Columns) -> None:
    answers = dict.fromkeys(columns.votes.values(), "data.label_columns") or {columns.label: "data.label_column"}
    for setting, column in columns.wanted():
        if column in answers and setting == "data.text_column":
            raise DataError(
                f"{setting}: '{column}' is the column of the answers ({answers[column]})", hint="Name another."
            )
        if column in answers and setting == "task.prompt":
            raise DataError(
                f"task.prompt: reads {{{column}}}, the column of the answers ({answers[column]})",
                hint="Take it out of the template.",
            )


def _need_numbers(reading: Reading) -> None:
    named = next((pair for pair in reading.columns.wanted() if not is_number(pair[1])), None)
    if reading.header is False and named is not None:
        setting, column = named
        raise DataError(
            f"data.header: false needs columns by number, and {setting} names '{column}'",
            hint=f"Give {setting} a number: {'{1}' if setting == 'task.prompt' else '1'} is the first column.",
        )


def _gather_one(
    gathered: Gathered, part: str, source: Source, data: DataSection, section: SourceSection, tolerant: bool
) -> None:
    license = source_license(data, source)
    _need_permission(data, source.reference, license)
    how = reading(data, gathered.task, source=section)
    opened = open_source(source, how)
    examples, before = gathered.parts[part], (gathered.rows, len(gathered.parts[part]))
    sort_out = _Faults(gathered, data.drop, tolerant)
    guessed = data.encoding == "auto" and opened.opening.encoding not in ("utf-8-sig", "utf-8", "latin-1")
    sample = ""
    for row in rows(opened, how, faults=sort_out.unread):
        gathered.rows += 1
        if gathered.rows % _TICK == 0:
            advance("read", gathered.rows, 0)
        if row.original is not None and row.target is not None:
            gathered.labels[row.original, row.target] += 1
        for parsed in parsed_row(gathered.task, row):
            dated = _dated(parsed, data)
            if isinstance(dated, Fault):
                sort_out.take(dated)
            else:
                examples.append(dated)
        sample = sample or (row.text[:60] if guessed and not row.text.isascii() else "")
    gathered.sources.append(
        {
            "part": part,
            "path": address(source),
            "name": source.name,
            "sha256": None if source.hub else sha256(source.path),
            "format": opened.format.name,
            "encoding": opened.opening.encoding if opened.format.encoding else None,
            "guessed": sample or None if guessed else None,
            "license": license,
            "rows": gathered.rows - before[0],
            "examples": len(examples) - before[1],
        }
    )


def parsed_row(task: Task, row: Row) -> Sequence[Example | Fault]:
    """Return what a row holds, strata and all; examples of one row bear its name, so that no split parts them, and ids of their own."""
    parsed = task.parse(row)
    if not parsed:
        hint = "Mend the row, or data.drop: [unknown-label]."
        return [Fault(where=row.id, problem="holds nothing to answer", hint=hint, kind="unknown-label", text=row.text)]
    sorts = [one if isinstance(one, Fault) else _of_row(one, row, task) for one in parsed]
    if len(sorts) == 1:
        return sorts
    return [
        one if isinstance(one, Fault) else replace(one, row=row.record or row.id, id=f"{row.id}.{number}")
        for number, one in enumerate(sorts, start=1)
    ]


def _of_row(example: Example, row: Row, task: Task) -> Example:
    """Return an example with what its row has and the task need not know."""
    date, group = example.date or row.date, example.group or row.group
    return replace(
        example,
        row=row.record,
        stratum=task.stratum(example),
        weight=row.weight,
        shares=row.shares,
        date=date,
        group=group,
    )


def _dated(parsed: Example | Fault, data: DataSection) -> Example | Fault:
    """Refuse rows without a date: a split by time needs one in each."""
    if isinstance(parsed, Fault) or data.split.by != "time" or moment(parsed.date, data.date_format) is not None:
        return parsed
    form = data.date_format or "ISO 8601"
    problem = f"'{parsed.date}' is no date of the form {form}" if parsed.date else "no date"
    hint = "Mend it, or set data.date_format, for example to '%d/%m/%Y', or a list of such."
    return Fault(
        where=parsed.id, problem=problem, hint=hint, kind="bad-date", value=str(parsed.target), text=parsed.text
    )


def source_license(data: DataSection, source: Source) -> str | None:
    """Return what the config says of a source's license; the built-in set brings its own."""
    if source.reference.startswith(BUILTIN):
        return "CC0-1.0"
    if isinstance(data.license, Mapping):
        return data.license.get(source.name, data.license.get(source.reference))
    return data.license


def address(source: Source) -> str:
    """Return a source as a config can name it from any folder."""
    if source.hub or source.reference.startswith(BUILTIN):
        return source.reference
    return f"{source.path.resolve()}{f'#{source.part}' if source.part else ''}"


def _need_permission(data: DataSection, reference: str, license: str | None) -> None:
    """For commercial use: a license that is known to allow it, or a grant."""
    found = License.parse(license)
    if not data.commercial or found.commerce == "allows":
        return
    if found.text is None:
        raise DataError(f"{reference}: data.commercial is true, but its license is not said", hint="Set data.license.")
    raise DataError(
        f"{reference}: data.commercial is true, but '{license}' is not known to allow commercial use",
        hint="Use other data, or write what its owners granted: data.license: 'granted: ...'.",
    )


def _need_known_names(data: DataSection, sources: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a license for a file that is none of the sources."""
    if isinstance(data.license, Mapping):
        names = [str(source["name"]) for source in sources]
        known = {
            *names,
            *(str(source["path"]) for source in sources),
            *(p for paths in data.paths.values() for p in paths),
        }
        for name in data.license:
            if name not in known:
                raise DataError(f"data.license: no source is called '{name}'", hint=did_you_mean(name, names))


class _Faults:
    """Takes faults: those that data.drop names are dropped, the first other one raises, unless told to collect."""

    def __init__(self, gathered: Gathered, kinds: Sequence[str], tolerant: bool) -> None:
        self._gathered, self._kinds, self._tolerant = gathered, kinds, tolerant

    def unread(self, fault: Fault) -> None:
        """Take the fault of a record that never became a row."""
        self._gathered.rows += 1
        self.take(fault)

    def take(self, fault: Fault) -> None:
        """Drop, collect or raise."""
        if fault.kind in self._kinds:
            self._gathered.dropped.append(
                Dropped(fault.where, f"{fault.kind}: {fault.problem}", fault.text, fault.value)
            )
        elif self._tolerant:
            self._gathered.faults.append(fault)
        else:
            raise fault_error(fault)


def _drop_leaks(gathered: Gathered) -> None:
    scored = [e.text for part, examples in gathered.parts.items() if part != "train" for e in examples]
    leaking = twins([e.text for e in gathered.parts["train"]], scored).tolist()
    train = gathered.parts["train"]
    gathered.dropped += [
        Dropped(e.id, f"{LEAKS}: near-duplicate of a row in a given part", e.text, str(e.target))
        for e, leaks in zip(train, leaking, strict=True)
        if leaks
    ]
    gathered.parts["train"] = [e for e, leaks in zip(train, leaking, strict=True) if not leaks]
    tell("data", f"{sum(leaking):,} rows of train dropped: near-duplicates of validation or test")

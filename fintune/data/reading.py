"""How a config's files are read for a task, and how another file is: what section data says, as readers take it.

Example:
    reading(config.data, config.build_task()).columns.label
    # 'label'
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fintune.data.readers.columns import Columns
from fintune.data.readers.packed import inner
from fintune.data.readers.read import Reading
from fintune.data.settings import DataSection, SourceSection
from fintune.records import TEXT
from fintune.tasks import Task
from fintune.tasks.protocol import asked_fields


def reading(
    data: DataSection,
    task: Task,
    *,
    need_label: bool = True,
    source: SourceSection | None = None,
    select: bool | None = None,
) -> Reading:
    """How a config's files are read, for a task; label, agreement and weight of every row are those of a source.

    `select`: whether data.where chooses among rows; None: where labels are read.
    """
    where = data.where if (need_label if select is None else select) else {}
    of_rows = source or SourceSection(path="")
    labels = list(task.choices() or {})
    ends = [*data.label_cuts, math.inf] if data.label_cuts else []
    return Reading(
        format=data.format,
        encoding=data.encoding,
        delimiter=data.delimiter,
        header=data.header,
        columns=Columns.of(
            task.fields if need_label else asked_fields(task),
            data.text_column,
            data.label_column,
            need_label=need_label and of_rows.label is None and not data.label_columns,
            votes=data.label_columns if need_label else {},
            agreement=data.agreement_column if need_label and of_rows.agreement is None else None,
            date=data.date_column,
            group=data.group_column,
            weight=data.weight_column if need_label else None,
            where=list(where),
            explode=data.explode if need_label or _reads_entries(data, asked_fields(task)) else None,
        ),
        labels=labels,
        label=of_rows.label,
        agreement=of_rows.agreement,
        weight=of_rows.weight,
        where=where,
        cuts=dict(zip(ends, labels, strict=False)),
        label_map=data.label_map,
        decimal=data.decimal,
        closed=task.kind == "labels",
        redact=data.redact,
    )


def _reads_entries(data: DataSection, fields: Sequence[str]) -> bool:
    """Whether a prompt asks of each entry of data.explode, not of the text it stands beside."""
    columns = (data.text_column if name == TEXT else name for name in fields)
    return data.explode is not None and any(f"{column}.".startswith(f"{data.explode}.") for column in columns)


def reading_like(  # noqa: PLR0913
    data: DataSection,
    task: Task,
    path: str,
    *,
    name: str | None = None,
    encoding: str | None = None,
    need_label: bool = True,
    told: DataSection | None = None,
) -> Reading:
    """How to read another file: as the config's own where it ends alike, or as it was told; columns and map are the config's."""
    asked = told is not None and told.where != data.where
    own = reading(told or data, task, need_label=need_label, select=need_label or asked)
    alike = inner(Path(path)) == inner(Path(data.paths["train"][0].partition("#")[0]))
    if not alike and told is None:
        own = replace(own, format="auto", encoding="auto", delimiter="auto", header=None)
    return replace(own, format=name or own.format, encoding=encoding or own.encoding)

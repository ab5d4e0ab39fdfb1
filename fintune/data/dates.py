"""Dates of examples: ISO 8601 (nothing is guessed), or the format that the config names."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fintune.errors import DataError
from fintune.records import Example


def as_dates(examples: Sequence[Example], date_format: str | Sequence[str] | None = None) -> "NDArray[np.datetime64]":
    """Moments in UTC, shape `(n,)`, seconds. Raises DataError that names the row."""
    return np.array([_moment(e, date_format) for e in examples], dtype="datetime64[s]")


def _moment(example: Example, date_format: str | Sequence[str] | None) -> datetime:
    if not example.date:
        raise DataError(f"{example.id}: no date", hint="Set data.date_column to a column that every row fills.")
    forms: Sequence[str | None] = [date_format] if isinstance(date_format, str) else date_format or [None]
    for form in forms:
        with contextlib.suppress(ValueError):
            read = datetime.strptime(example.date, form) if form else datetime.fromisoformat(example.date)
            return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
    raise DataError(
        f"{example.id}: '{example.date}' is no date of the form {date_format or 'ISO 8601'}",
        hint="Set data.date_format, for example to '%d/%m/%Y', or a list of such.",
    )

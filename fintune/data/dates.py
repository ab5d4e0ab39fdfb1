"""Dates of examples: ISO 8601 (nothing is guessed), or the formats that the config names."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fintune.records import Example

Formats = str | Sequence[str] | None


def as_dates(examples: Sequence[Example], date_format: Formats = None) -> "NDArray[np.datetime64]":
    """Moments in UTC, shape `(n,)`, seconds; NaT where a row has none that can be read."""
    return np.array([moment(e.date, date_format) or "NaT" for e in examples], dtype="datetime64[s]")


def moment(date: str | None, date_format: Formats = None) -> datetime | None:
    """Return a date as a moment in UTC; None when it is missing or of another form."""
    if not date:
        return None
    forms: Sequence[str | None] = [date_format] if isinstance(date_format, str) else date_format or [None]
    for form in forms:
        with contextlib.suppress(ValueError):
            read = datetime.strptime(date, form) if form else datetime.fromisoformat(date)
            return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
    return None

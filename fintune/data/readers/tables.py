"""Parquet and Excel, streamed; a `line` is the number of the row, the header of a sheet counted."""

import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fintune.data.readers.columns import Broken, Columns, Fields, Opening, cells, distinct, need_columns
from fintune.data.readers.formulas import restoring
from fintune.data.readers.preamble import header_at
from fintune.errors import DataError, did_you_mean, first_line

_BATCH = 1000
_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!")
"""Values that Excel shows where a formula fails; they are no text."""
_LARGEST_MEMBER, _LARGEST_SHEET, _STEEPEST = 50 << 20, 1 << 30, 100
"""Bytes from which an unpacked member is looked at, bytes that are never unpacked, and the ratio of a zip bomb."""


def read_parquet(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Rows of a Parquet file; only the columns that are wanted are read."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            need_columns(opening, 1, file.schema_arrow.names)
            names = opening.columns.read(file.schema_arrow.names)
            line = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise _unreadable(opening, "parquet", error) from None


def read_xlsx(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Rows of a sheet, under its header line unless columns are numbers."""
    _refuse_bombs(path, opening)
    rows = _sheet(path, opening)
    if opening.header is False or (opening.header is None and opening.columns.by_number()):
        yield from _by_number(restoring(rows))
        return
    first = list(itertools.islice(rows, _BATCH))
    place = header_at([row for _, row in first], opening.columns)
    rows = restoring(itertools.chain(first[place:], rows))
    line, header = next(rows, (1, ()))
    names = ["" if name is None else str(name).strip() for name in header]
    need_columns(opening, line, [name for name in names if name])
    names = distinct(names)
    for line, row in rows:
        yield line, dict(itertools.zip_longest(names, row[: len(names)]))  # a row ends with its last full cell


def _by_number(rows: Iterator[tuple[int, tuple[Any, ...]]]) -> Iterator[tuple[int, Fields]]:
    """Rows filled up to the last column of the first thousand, for a row ends with its last full cell."""
    first = list(itertools.islice(rows, _BATCH))
    width = max((len(row) for _, row in first), default=0)
    for line, row in itertools.chain(first, rows):
        yield line, cells([*row, *[None] * (width - len(row))])


def _sheet(path: Path, opening: Opening) -> Iterator[tuple[int, tuple[Any, ...]]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        names = book.sheetnames
        if opening.part and opening.part not in names:
            raise DataError(f"{opening.name}: no sheet '{opening.part}'", hint=did_you_mean(opening.part, names))
        sheet = book[opening.part or names[0]]
        sheet.reset_dimensions()
        for line, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            if any(cell is not None for cell in row):
                full = max(i for i, cell in enumerate(row, start=1) if cell is not None)
                yield line, tuple(None if cell in _ERRORS else cell for cell in row[:full])
        book.close()
    except DataError:
        raise
    except Exception as error:  # a damaged book makes openpyxl raise nearly anything
        raise _unreadable(opening, "xlsx", error) from None


def sheet_names(path: Path) -> list[str]:
    """Return the names of a book's sheets. Raises DataError when it cannot be read."""
    import openpyxl

    opening = Opening(name=path.name, columns=Columns.all())
    _refuse_bombs(path, opening)
    try:
        book = openpyxl.load_workbook(path, read_only=True)
        names = list(book.sheetnames)
        book.close()
    except Exception as error:  # a damaged book makes openpyxl raise nearly anything
        raise _unreadable(opening, "xlsx", error) from None
    return names


def _refuse_bombs(path: Path, opening: Opening) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{opening.name}: not readable as xlsx: {error}",
            hint="Save it as .xlsx; if it is csv, set data.format: csv.",
        ) from None
    large = [m for m in members if m.file_size > _LARGEST_MEMBER]
    steep = [m for m in large if m.file_size > _STEEPEST * max(1, m.compress_size)]
    if steep or sum(m.file_size for m in members) > _LARGEST_SHEET:
        size = sum(m.file_size for m in members) / 1e9
        raise DataError(f"{opening.name}: would unpack to {size:.1f} GB", hint="Save it as csv if it is what it says.")


def _unreadable(opening: Opening, what: str, error: BaseException) -> DataError:
    return DataError(
        f"{opening.name}: not readable as {what}: {first_line(error)}", hint="Copy or export the file again."
    )

"""The registry of file formats: what every format function is given and gives back, and which files it is for.

A format function yields `(line, fields)`, or `(line, Broken)` for a record that cannot be read; `readers` makes Rows of them.
To add a format: write a function, put it into READERS; settings, detection and docs follow.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fintune.data.readers import delimited, hub_datasets, json_files, plain_text, tables
from fintune.data.readers.columns import Broken, Columns, Opening

__all__ = ["READERS", "Broken", "Columns", "Opening", "Reader"]


@dataclass(frozen=True)
class Reader:
    """How a kind of file is recognized and read."""

    name: str
    summary: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Opening], Iterator[tuple[int | str, Mapping[str, object] | Broken]]]
    encoding: str | None = "utf-8-sig"
    """The encoding when neither the file nor the config says otherwise; None for files that are not text."""
    has_columns: bool = True
    """Whether `data.text_column` and its like choose among several."""
    parts: bool = field(default=False, kw_only=True)
    """Whether `file#name` chooses a sheet, a split, a key."""
    need: str = field(default="", kw_only=True)
    """A package that reading needs beyond the core, in the extra `formats`."""


READERS: dict[str, Reader] = {
    f.name: f
    for f in (
        Reader("csv", "a record a row; any delimiter, header or not, quoted line breaks", (".csv",), delimited.read_csv),
        Reader("tsv", "csv with tabs", (".tsv", ".tab"), delimited.read_tsv),
        Reader("jsonl", "a JSON object or list a line", (".jsonl", ".ndjson"), json_files.read_json, parts=True),
        Reader("json", "an array of records, an object that holds one, a table by columns", (".json",), json_files.read_json, parts=True),
        Reader("parquet", "Parquet", (".parquet",), tables.read_parquet, None, need="pyarrow"),
        Reader("xlsx", "Excel; `book.xlsx#Sheet2`, else the first sheet", (".xlsx",), tables.read_xlsx, None, parts=True, need="openpyxl"),
        Reader("phrasebank", "`sentence@label` a line, as Financial PhraseBank has it", (), plain_text.read_phrasebank, "latin-1", False),
        Reader("lines", "one unlabeled text a line (predict only)", (".txt",), plain_text.read_lines, "utf-8-sig", False),
        Reader("folder", "a folder for each label, a text in each of its .txt files", (), plain_text.read_folder, None, False),
        Reader("saved", "a folder that `datasets` saved; `folder#split`", (), hub_datasets.read_saved, None, parts=True, need="datasets"),
        Reader(
            "hub",
            "`hf:owner/name@revision#split`, Parquet revisions only",
            (),
            hub_datasets.read_hub,
            None,
            parts=True,
            need="datasets",
        ),
    )
}  # fmt: skip

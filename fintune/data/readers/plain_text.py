"""Text files without columns: PhraseBank's `sentence@label`, and one text a line."""

from collections.abc import Iterator
from pathlib import Path

from fintune.data.readers.columns import Broken, Fields, Opening, lines
from fintune.errors import DataError


def read_phrasebank(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Financial PhraseBank: `sentence@label` on each line."""
    for line, content in lines(path, opening.encoding):
        if isinstance(content, Broken):
            yield line, content
        elif content.strip():
            text, at, label = content.rstrip("\r\n").rpartition("@")
            if not at and opening.columns.need_label:
                yield line, Broken("no '@' between sentence and label", "Choose data.format: csv or jsonl.")
            else:
                yield line, {"text": text, "label": label.strip()} if at else {"text": label}


def read_lines(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Plain text, one unlabeled text a line (for predicting)."""
    if opening.columns.need_label:
        raise DataError(
            f"{opening.name}: plain lines carry no label", hint="Choose data.format: csv, jsonl or phrasebank."
        )
    for line, content in lines(path, opening.encoding):
        if isinstance(content, Broken):
            yield line, content
        elif content.strip():
            yield line, {"text": content.rstrip("\r\n")}

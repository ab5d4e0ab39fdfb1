"""Text files without columns: PhraseBank's `sentence@label`, one text a line, one text a file in a folder for each label."""

from collections.abc import Iterator
from pathlib import Path

from fintune.data.readers.columns import LONGEST_RECORD, Broken, Fields, Opening, lines
from fintune.data.readers.encodings import find_encoding
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


def holds_labels(folder: Path) -> bool:
    """Whether a folder holds folders of .txt files, one for each label."""
    return next(folder.glob("*/*.txt"), None) is not None


def read_folder(path: Path, opening: Opening) -> Iterator[tuple[str, Fields | Broken]]:
    """Yield each file of a folder's folders as one text, its folder's name as the label."""
    for file in sorted(path.glob("*/*.txt")):
        place = f"{file.parent.name}/{file.name}"
        if file.stat().st_size > 4 * LONGEST_RECORD:
            yield place, Broken(f"longer than {LONGEST_RECORD:,} characters", "The file may be damaged.")
        else:
            content = file.read_bytes().decode(find_encoding(file, "utf-8"), errors="surrogateescape")
            yield place, {"text": content, "label": file.parent.name}

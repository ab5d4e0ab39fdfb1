"""From a path to rows: finds the format, opens the file, and turns every defect into an error that names file and line.

>>> rows = list(read("news.csv"))
>>> rows[0]
Row(id='news.csv:2', text='Profit rose.', label='positive')
"""

import codecs
import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fintune.data.formats import FORMATS, Columns, Format
from fintune.errors import DataError, did_you_mean
from fintune.records import Row

BUILTIN = "builtin:"
"""prefix of `data.path` for the sets that ship with the package"""

_BUILTIN_FOLDER = Path(__file__).parent / "builtin"
_LINE_END = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PHRASEBANK_LINE = re.compile(rb".+@[a-z]+\s*")


def resolve(path: str) -> Path:
    """The file behind `data.path`, a built-in name included; DataError when there is none."""
    if path.startswith(BUILTIN):
        return _builtin(path)
    if not path.strip():
        raise DataError("the path of the data is empty", hint="Name a file.")
    file = Path(path)
    with contextlib.suppress(RuntimeError):  # no such user
        file = file.expanduser()
    if not file.exists():
        near = (
            ", ".join(sorted(p.name for p in file.parent.glob("*") if p.is_file())[:5]) if file.parent.is_dir() else ""
        )
        raise DataError(f"{path}: no such file", hint=f"Found there: {near}." if near else "Check data.path.")
    if not file.is_file():
        raise DataError(f"{path}: not a plain file", hint="Name one file in data.path.")
    return file


def read(path: str, *, name: str = "auto", encoding: str = "auto", columns: Columns = Columns()) -> Iterator[Row]:  # noqa: B008
    """Rows of a file, one at a time. `name` is a key of FORMATS or "auto". Raises DataError with file and line."""
    if name != "auto" and name not in FORMATS:
        raise DataError(f"{path}: unknown format '{name}'", hint=did_you_mean(name, ["auto", *FORMATS]))
    file = resolve(path)
    with file.open("rb") as stream:
        head = stream.read(8192)
    if not head.strip():
        raise DataError(f"{path}: the file is empty", hint="Check data.path.")
    if b"\0" in head and not encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        raise DataError(f"{path}: looks binary, not text", hint=f"Readable formats: {', '.join(FORMATS)}.")
    format_ = FORMATS[name] if name != "auto" else detect(file, head, columns)
    chosen = _encoding(file, format_) if encoding == "auto" else encoding
    return _rows(file, format_, chosen, columns)


def detect(file: Path, head: bytes, columns: Columns) -> Format:
    """The format by suffix, and by its first line where the suffix says nothing."""
    for format_ in FORMATS.values():
        if file.suffix.lower() in format_.suffixes and format_.name != "lines":
            return format_
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    if all(_PHRASEBANK_LINE.fullmatch(line) for line in lines[:-1] or lines):  # the last may be cut short
        return FORMATS["phrasebank"]
    if not columns.need_label:
        return FORMATS["lines"]
    raise DataError(f"{file}: cannot tell the format", hint=f"Set data.format to one of {', '.join(FORMATS)}.")


def need_text(text: str, where: str) -> None:
    """Refuse characters that no tokenizer takes and no file can hold."""
    if "\0" in text or _SURROGATE.search(text):
        raise DataError(f"{where}: holds NUL or bytes that are not UTF-8", hint="Give it UTF-8 text.")


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _encoding(file: Path, format_: Format) -> str:
    """The format's own encoding; utf-8 for a copy that somebody has converted."""
    if format_.encoding == "latin-1":
        with contextlib.suppress(UnicodeDecodeError):
            file.read_bytes().decode("utf-8")
            return "utf-8-sig"
    return format_.encoding


def _rows(file: Path, format_: Format, encoding: str, columns: Columns) -> Iterator[Row]:
    line = 0
    try:
        for line, text, label in format_.read(file, encoding, columns):
            need_text(text, f"{file}:{line}")
            yield Row(f"{file.name}:{line}", text.strip(), None if label is None else label.strip())
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}:{_line_of(file, encoding)}: not {encoding}: byte 0x{error.object[error.start]:02x}",
            hint="Set data.encoding, for example to latin-1 or gb18030.",
        ) from None
    except LookupError:
        raise DataError(
            f"data.encoding: unknown encoding '{encoding}'", hint="Try utf-8, latin-1 or gb18030."
        ) from None
    except ValueError:  # a codec that is no text encoding, utf-16 without its mark
        raise DataError(
            f"{file}: data.encoding: '{encoding}' does not read it", hint="Try utf-8, latin-1 or gb18030."
        ) from None


def _line_of(file: Path, encoding: str) -> int:
    """The line, from 1, of the first byte that does not decode; any of the three line ends counts."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    line = 1
    with file.open("rb") as stream:
        for chunk in iter(partial(stream.read, 1 << 16), b""):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "replace")
                return line + len(_LINE_END.findall(before))
    return line


def _builtin(path: str) -> Path:
    file = _BUILTIN_FOLDER / f"{path.removeprefix(BUILTIN)}.jsonl"
    if not file.is_file():
        names = ", ".join(BUILTIN + p.stem for p in sorted(_BUILTIN_FOLDER.glob("*.jsonl")))
        raise DataError(f"data.path: no built-in set '{path}'", hint=f"Built in: {names}.")
    return file

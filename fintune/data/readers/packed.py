"""Files as they are, or unpacked while they are read: .gz, .bz2, .xz, .zst, and .zip that holds one file. Nothing is written, bounds hold.

>>> inner(Path("news.csv.gz"))
'.csv'
"""

import bz2
import gzip
import io
import lzma
import zipfile
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import IO, BinaryIO, TextIO, cast

from fintune.errors import BrokenEnvironment, DataError
from fintune.runtime.install import with_extra

PACKED = {".gz", ".zip", ".bz2", ".xz", ".zst"}
"""Endings of packed files."""
_MOST, _STEEPEST, _SMALL = 8 << 30, 200, 50 << 20
"""Bytes that are never unpacked, the ratio of a bomb, and bytes up to which nothing is one."""


def is_packed(path: Path) -> bool:
    """Whether a file is unpacked while it is read."""
    return path.suffix.lower() in PACKED


def inner(path: Path) -> str:
    """Return the ending of what a file holds: of `news.csv.gz` .csv, of a .zip its member's."""
    if path.suffix.lower() == ".zip" and path.is_file():
        return PurePosixPath(_member(path).filename).suffix.lower()
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def open_bytes(path: Path) -> BinaryIO:
    """Open a file to read what it holds. Raises DataError, also while it is read, where it is damaged or a bomb."""
    if not is_packed(path):
        return path.open("rb")
    return io.BufferedReader(_Bounded(path, _unpacking(path)))


def open_text(path: Path, encoding: str, newline: str | None = None) -> TextIO:
    """Open a file as text; bytes that do not decode become lone surrogates."""
    if not is_packed(path):
        return path.open(encoding=encoding, errors="surrogateescape", newline=newline)
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, errors="surrogateescape", newline=newline)


def _unpacking(path: Path) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        member = _member(path)
        return zipfile.ZipFile(path).open(member)
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    if suffix == ".zst":
        return cast(IO[bytes], _zstd(path).open(path))
    return cast(IO[bytes], bz2.open(path) if suffix == ".bz2" else lzma.open(path))


def _zstd(path: Path) -> ModuleType:
    """Return the module that Python has from 3.14 on, or its backport. Raises BrokenEnvironment where there is neither."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise BrokenEnvironment(f"{path}: reading .zst needs backports.zstd", hint=with_extra("zst"))


def _member(path: Path) -> zipfile.ZipInfo:
    """Return the one file of a .zip, what macOS adds left out."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not readable as zip: {error}", hint="Copy or export the file again.") from None
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise DataError(f"{path}: holds {names}", hint="Unpack it, and name the file to read.")
    if members[0].flag_bits & 1:
        raise DataError(f"{path}: is encrypted", hint="Unpack it first.")
    return members[0]


class _Bounded(io.RawIOBase):
    """What a packed file holds, as far as it is no bomb."""

    def __init__(self, path: Path, source: IO[bytes]) -> None:
        self._path, self._source, self._size = path, source, path.stat().st_size

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def seekable(self) -> bool:
        """Return that one may go back."""
        return self._source.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._source.tell()

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Read on. Raises DataError."""
        try:
            piece = self._source.read(len(buffer))
        except Exception as error:  # each way of packing has errors of its own
            raise DataError(
                f"{self._path}: cannot be unpacked: {error}", hint="Copy or export the file again."
            ) from None
        place = self._source.tell()
        if place > _MOST or (place > _SMALL and place > _STEEPEST * self._size):
            raise DataError(
                f"{self._path}: unpacks to more than {place / 1e9:.1f} GB", hint="Unpack it if it is what it says."
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close both."""
        self._source.close()
        super().close()

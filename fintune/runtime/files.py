"""Files written whole or not at all, and places where none can be written refused before any work."""

import errno
import glob
import hashlib
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from fintune.errors import RunError
from fintune.runtime.library_messages import system_error, torch_cannot_write
from fintune.runtime.untrusted import need_content, need_name, open_plain

_FORMER = "former"
_NOTHING = 1_000_000
"""Free bytes below which a disk is full."""


def need_place(path: Path) -> None:
    """Refuse, before any work, a path at which no file can be written."""
    need_name(path)
    if path.is_dir():
        raise RunError(f"{path}: is a folder", hint="Name a file in it.")
    if broken := next((p for p in (path, *path.absolute().parents) if p.is_symlink() and not p.exists()), None):
        raise RunError(f"{broken}: is a link to nothing", hint="Remove it, or name another.")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise RunError(f"{above}: is a file, so nothing can be written below it", hint="Name another folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise RunError(f"{above}: this user may not write there", hint="Name another folder.")


def write_atomically(path: Path, content: str) -> None:
    """Write a text file under another name, then rename it into place."""
    with replacing(path) as staging, staging.open("w", encoding="utf-8") as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes its place when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield staging
        with staging.open("rb") as file:
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder yet to be made beside `folder`; it takes its place when the block ends well, and vanishes otherwise.

    Raises RunError when something stands there by then and may not be replaced.
    """
    own = f".{folder.name}.{platform.node()}."
    with _above(folder):
        _mend(folder, own)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{own}{os.getpid()}.", suffix=".tmp") as staging:
            place, former = Path(staging) / folder.name, Path(staging) / _FORMER
            with disk_errors(folder), _named(folder, instead_of=Path(staging)):
                yield place
            _to_disk(place)
            try:
                if folder.exists() and overwrite:
                    folder.rename(former)
                place.rename(folder)
            except BaseException as error:
                if former.exists() and not folder.exists():
                    former.rename(folder)
                if isinstance(error, OSError) and folder.exists():
                    raise RunError(f"{folder}: another process has made it meanwhile", hint="Name another.") from None
                raise


@contextmanager
def _named(folder: Path, *, instead_of: Path) -> Iterator[None]:
    """Inside the block an error of the disk names the folder that was asked for, not the one it is made in."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not str(error.filename or "").startswith(str(instead_of)):
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _mend(folder: Path, own: str) -> None:
    """Remove what killed processes of this machine left, and put back what one was about to replace."""
    for left in folder.parent.glob(f"{glob.escape(own)}*.tmp"):
        pid = left.name.removeprefix(own).partition(".")[0]
        if not pid.isdigit() or _runs(int(pid)):
            continue
        if (left / _FORMER).exists() and not folder.exists():
            (left / _FORMER).rename(folder)
        shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    """Whether there is such a process, and not only its number."""
    with suppress(OSError):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _to_disk(place: Path) -> None:
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


@contextmanager
def _above(folder: Path) -> Iterator[None]:
    """Make the folders above; when the block fails, remove those that were made for nothing."""
    made = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something else is in it by now
            for parent in made:
                parent.rmdir()
        raise


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Raise as an OSError, with its errno, what libraries raise instead when they cannot write (safetensors, tokenizers, torch, numpy)."""
    try:
        yield
    except Exception as error:
        message = str(error)
        if not isinstance(error, (SafetensorError, RuntimeError, OSError)) and system_error(message) is None:
            raise
        foreign = isinstance(error, RuntimeError) and not torch_cannot_write(error)
        if foreign or getattr(error, "errno", None):
            raise
        raise OSError(_number(message, place), message.splitlines()[0], str(place)) from error


def _number(message: str, place: Path) -> int:
    """Return the errno behind a library's words, which name it (Rust) or not (torch)."""
    if (number := system_error(message)) is not None:
        return number
    if shutil.disk_usage(place.parent).free < _NOTHING:
        return errno.ENOSPC
    sizes = [path.stat().st_size for path in (place, *place.rglob("*")) if path.is_file()]
    return errno.EFBIG if max(sizes, default=0) >= _most_bytes() else errno.EIO


def _most_bytes() -> float:
    """Of a file, as the process is limited (ulimit -f)."""
    try:
        import resource
    except ImportError:  # not on Windows
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


@contextmanager
def locked(path: Path, *, hint: str) -> Iterator[None]:
    """Keep other processes from making `path`. Raises RunError when one is at it.

    The lock's file stays: another process may hold it by the time it could go.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    need_place(Path(lock.lock_file))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not Path(lock.lock_file).exists():  # a file system that takes no files, such as /proc
            raise RunError(f"{path}: no file can be written there", hint="Name another place.") from None
        raise RunError(f"{path}: another process is writing it", hint=hint) from None
    try:
        yield
    finally:
        lock.release()


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes; of a folder, the digest of its files' names and digests."""
    if file.is_dir():
        listed = (f"{p.relative_to(file)} {sha256(p)}\n" for p in sorted(file.rglob("*")) if p.is_file())
        return hashlib.sha256("".join(listed).encode()).hexdigest()
    with open_plain(file) as stream:
        need_content(stream)
        return hashlib.file_digest(stream, "sha256").hexdigest()

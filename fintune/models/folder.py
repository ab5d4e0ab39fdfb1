"""A model's folder read with errors that say what is wrong with it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fintune.errors import BrokenEnvironment, FintuneError, ModelError, first_line
from fintune.models.annotations import JsonObject
from fintune.runtime.install import not_installed
from fintune.runtime.library_messages import is_out_of_memory
from fintune.runtime.untrusted import LARGEST_LIST, parse_object, read_text

_TEXTS = (".json", ".model", ".txt", ".jinja")
"""Endings of files that the loading libraries read whole"""


def read_json(path: Path) -> JsonObject:
    """Return a JSON object that came with a model or an adapter. Raises ModelError."""
    try:
        return parse_object(read_text(path))
    except FileNotFoundError:
        raise ModelError(f"{path.parent}: no {path.name}", hint="Name a run folder, or train again.") from None
    except ValueError as error:
        raise ModelError(f"{path}: damaged JSON: {first_line(error)}", hint="Copy that folder again.") from None


@contextlib.contextmanager
def loading_errors(what: str, *, local: bool = True) -> Iterator[None]:
    """Turn what the loading libraries raise into one ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except FintuneError:
        raise
    except ModuleNotFoundError as error:  # gguf, bitsandbytes: extras
        raise not_installed(what, error) from None
    except SafetensorError as error:
        raise ModelError(f"{what}: damaged weights: {error}", hint="Copy or download the model again.") from error
    except Exception as error:  # a damaged file makes the loading libraries raise nearly anything
        if is_out_of_memory(error):
            raise BrokenEnvironment(
                f"{what}: does not fit into memory",
                hint="Free some, raise the limit (ulimit -v), or load less: model.dtype: bfloat16, another model.base.",
            ) from error
        if isinstance(error, OSError) and error.errno is not None:
            raise
        message = " ".join(str(error).split())[:300] or type(error).__name__
        hint = (
            "A file of it is missing or damaged: copy it again."
            if local
            else "Offline? Name a folder saved with save_pretrained, or embedded."
        )
        raise ModelError(f"{what}: cannot be loaded: {message}", hint=hint) from error


def need_readable(file: Path) -> None:
    """Refuse what the loading libraries would call missing, as this user may not read it, or would read without end."""
    if os.path.lexists(file) and not (file.is_file() or file.is_dir()):
        raise ModelError(f"{file}: not a plain file", hint="Copy that folder again, without it.")
    if file.suffix in _TEXTS and file.stat().st_size > LARGEST_LIST:
        raise ModelError(f"{file}: larger than {LARGEST_LIST:,} bytes", hint="Copy that folder again.")
    if file.exists() and not os.access(file, os.R_OK):
        raise BrokenEnvironment(f"{file}: this user may not read it", hint="Check its permissions.")

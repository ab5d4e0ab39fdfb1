"""Models that many tests train: read from their files once, and copied for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from unittest import mock

from fintune.models import LoadedModel, load_model
from fintune.training.loop.checkpoints import Checkpoints


def fresh(folder: Path, *, dtype: str = "auto", quantization: str = "none") -> LoadedModel:
    """A model on the CPU as it is on disk, nobody else's; the files must stay as they are."""
    return deepcopy(_read(folder, dtype, quantization))


@cache
def _read(folder: Path, dtype: str, quantization: str) -> LoadedModel:
    return load_model(str(folder), device="cpu", dtype=dtype, quantization=quantization)


@contextmanager
def nothing_saved() -> Iterator[None]:
    """Trainings that nobody resumes leave no checkpoints, a quarter of the time of a tiny one."""
    with mock.patch.object(Checkpoints, "save"):
        yield

"""What a run runs on: settings under which it gives the same bytes twice, and versions, hardware, commit, command line."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from fintune.errors import UsageError

_REPRODUCIBLE = {
    "MKL_CBWR": "AUTO",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""Variables that make MKL, OpenMP and cuBLAS add numbers in one order (their manuals on reproducibility)."""

_BRIEFLY = "2000"
"""Rounds a thread of GNU OpenMP spins for the others before it sleeps; its 300,000 take the core, beside a busy program, from
the thread that is waited for (benchmarks/shared_cores.py)."""

PACKAGES = ("fintune", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy", "scikit-learn")


class _Block(NamedTuple):
    """One of `deterministic` that runs; `changes` the number of CPU threads."""

    shared: bool
    changes: bool


_state = threading.Condition()
_blocks: list[_Block] = []
_settings = ExitStack()
"""The settings that the last of the blocks undoes."""


@cache
def settle() -> bool:
    """Set, before torch first computes, kernels that add in one order and threads that wait briefly. What the user has set stays.

    Return whether it came in time: MKL reads its setting once, when it first multiplies. Only the first call of a process counts.
    """
    in_time = "torch" not in sys.modules or all(name in os.environ for name in _REPRODUCIBLE)
    for name, value in _REPRODUCIBLE.items():
        os.environ.setdefault(name, value)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _BRIEFLY)
    return in_time


def kernels() -> dict[str, str | None]:
    """Return the kernels torch computes with, as far as the environment decides; runs under the same ones give the same bytes."""
    late: dict[str, str | None] = {} if settle() else {"set": "after torch had been imported"}
    return {name: os.environ.get(name) for name in _REPRODUCIBLE} | late


def arithmetic() -> dict[str, object]:
    """All that decides how numbers are added on this machine, beside the model and its inputs."""
    import torch

    return {
        "torch": torch.__version__,
        "transformers": _version("transformers"),
        "threads": torch.get_num_threads(),
        "kernels": kernels(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


@contextmanager
def deterministic(threads: int | None, *, shared: bool = False) -> Iterator[None]:
    """Deterministic algorithms and a fixed number of CPU threads (None: torch's own choice) inside the block.

    The settings are the process's. Of its Python threads one that trains has them to itself; `shared` blocks, which only ask a
    model, run side by side, but where one takes another number of CPU threads than torch would. Raises UsageError beside a training.
    """
    import torch

    with _state:
        _need_no_training(shared)
        while any(block.changes for block in _blocks) or (_blocks and threads not in (None, torch.get_num_threads())):
            _state.wait()
            _need_no_training(shared)
        block = _Block(shared, threads not in (None, torch.get_num_threads()))
        if not _blocks:
            _settings.enter_context(_set(threads))
        _blocks.append(block)
    try:
        yield
    finally:
        with _state:
            _blocks.remove(block)
            if not _blocks:
                _settings.close()
            _state.notify_all()


@contextmanager
def between_blocks() -> Iterator[bool]:
    """Say whether no block of `deterministic` runs in this process; none begins before this one ends."""
    with _state:
        yield not _blocks


def _need_no_training(shared: bool) -> None:
    """Refuse a training beside anything, and anything beside a training."""
    if not _blocks or (shared and all(block.shared for block in _blocks)):
        return
    other = "a scoring" if all(block.shared for block in _blocks) else "another training"
    raise UsageError(
        f"{other} runs in this process: their random numbers would mix", hint="Train in processes of their own."
    )


@contextmanager
def _set(threads: int | None) -> Iterator[None]:
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    deterministic_settings: Any = torch.utils.deterministic
    filled = deterministic_settings.fill_uninitialized_memory
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic_settings.fill_uninitialized_memory = False  # a debugging aid that costs time
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        deterministic_settings.fill_uninitialized_memory = filled


class MachineRecord(TypedDict):
    """What environment.json says of the process and the machine."""

    command: list[str]
    python: str
    platform: str
    packages: dict[str, str | None]
    cpu_count: int | None
    torch_threads: int
    kernels: dict[str, str | None]
    cpu_capability: str
    accelerator: str | None
    memory_bytes: int | None
    git: object


def describe() -> MachineRecord:
    """Return the content of environment.json, as far as it does not depend on the run."""
    import platform

    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "kernels": kernels(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "accelerator": str(accelerator) if accelerator else None,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None,
        "git": _git(),
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, object] | None:
    """Commit of the checkout FinTune runs from; None when it is installed as a package."""
    import shutil

    root = Path(__file__).resolve().parents[2]
    if shutil.which("git") is None or not (root / ".git").exists():
        return None
    commit, dirty = _ask_git(root, ["rev-parse", "HEAD"]), _ask_git(root, ["status", "--porcelain"])
    return {"commit": commit, "dirty": bool(dirty)} if commit else None


def _ask_git(root: Path, arguments: Sequence[str]) -> str:
    import subprocess

    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""

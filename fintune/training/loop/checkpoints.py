"""What a resume reads: folders written beside their place, sealed by a manifest of checksums, renamed; two are kept.

Example:
    checkpoints = Checkpoints(run.checkpoints)
    checkpoints.save(40, lambda folder: write_state(folder))
    checkpoints.latest()
    # PosixPath('runs/run/checkpoints/checkpoint-40')
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from fintune.errors import RunError
from fintune.runtime.files import disk_errors, sha256, write_atomically
from fintune.runtime.progress import tell

_NAME = re.compile(r"checkpoint-(\d+)")
_MANIFEST = "manifest.json"
_WEIGHTS = "trainable.safetensors"
_KEPT = 2


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run, the newest and one to fall back on."""

    folder: Path

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Let `write` fill a folder, and put it in place whole; a failure (a full disk) leaves the others as they were."""
        staging, place = self.folder / ".new", self.folder / f"checkpoint-{step}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            with disk_errors(staging):
                staging.mkdir(parents=True)
                write(staging)
            _seal(staging)
            if place.exists():  # the same step, before and after its epoch was judged
                place.rename(_aside(place))
            staging.rename(place)
            shutil.rmtree(_aside(place), ignore_errors=True)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        for old in self._newest_first()[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Path | None:
        """Return the newest whole checkpoint; damaged ones are passed over, said to be, and removed lest they outlive whole ones."""
        for old in self.folder.glob(".checkpoint-*.old"):  # a process was killed between two renames
            place = old.with_name(old.name[1:].removesuffix(".old"))
            shutil.rmtree(old) if place.exists() else old.rename(place)
        for folder in self._newest_first():
            problem = _problem(folder)
            if problem is None:
                return folder
            tell("train", f"{folder}: damaged ({problem}), passed over")
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def _newest_first(self) -> list[Path]:
        numbered = [(int(m[1]), path) for path in self.folder.glob("checkpoint-*") if (m := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(numbered, reverse=True)]


def save_trainable(model: torch.nn.Module, folder: Path) -> None:
    """Write the trainable parameters, and nothing else of the model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: p.detach().cpu().contiguous() for name, p in _trainable(model).items()}, folder / _WEIGHTS)


def load_trainable(model: torch.nn.Module, checkpoint: Path) -> None:
    """Put a checkpoint's parameters into the model. Raises RunError when they are those of another one."""
    saved, own = load_file(checkpoint / _WEIGHTS), _trainable(model)
    if saved.keys() != own.keys():
        other = min(saved.keys() ^ own.keys())
        raise RunError(f"{checkpoint}: of another model ({other})", hint="Train again with --overwrite.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])


def _trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def step_of(checkpoint: Path) -> int:
    """Return the number of optimizer steps a checkpoint has behind it."""
    return int(checkpoint.name.rpartition("-")[2])


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _seal(folder: Path) -> None:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    manifest = {}
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        manifest[file.relative_to(folder).as_posix()] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    write_atomically(folder / _MANIFEST, json.dumps(manifest, indent=1))


def _problem(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint; None when every file of its manifest is there, whole."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        if not manifest:
            return f"{_MANIFEST} names nothing"
        for name, entry in manifest.items():
            size = (folder / name).stat().st_size
            if size != entry["bytes"]:
                return f"{name} has {size:,} of {entry['bytes']:,} bytes"
            if sha256(folder / name) != entry["sha256"]:
                return f"{name} has changed"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{_MANIFEST if not isinstance(error, OSError) else Path(str(error.filename)).name} cannot be read"
    return None

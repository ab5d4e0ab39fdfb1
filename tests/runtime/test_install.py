"""What to type to install what is missing works for the very installation that says it."""

import sys
from pathlib import Path

import pytest

import fintune
from fintune.runtime import install

ROOT = Path(fintune.__file__).parents[1]


@pytest.fixture(autouse=True)
def own_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: str(Path(sys.executable).with_name(name)))


def test_from_a_checkout_it_names_the_checkout() -> None:
    assert install.with_extra("report") == f"pip install -e '{ROOT}[report]'"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({}, "pip install 'fintune[report]'"),
        ({"url": "file:///src/fintune"}, "pip install 'fintune[report] @ file:///src/fintune'"),
        ({"url": "file:///it's"}, """pip install 'fintune[report] @ file:///it'"'"'s'"""),
    ],
)
def test_elsewhere_it_names_where_the_package_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: dict[str, str], command: str
) -> None:
    monkeypatch.setattr(install, "_PACKAGE", tmp_path / "site-packages" / "fintune")
    monkeypatch.setattr(install, "_origin", lambda: origin)
    assert install.with_extra("report") == command


def test_a_pip_of_another_python_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, "/usr/bin/pip"):
        monkeypatch.setattr("shutil.which", lambda _, found=found: found)
        assert install.package("optuna") == f"{sys.executable} -m pip install optuna"


def test_nobody_else_says_what_to_install() -> None:
    for path in Path(fintune.__file__).parent.rglob("*.py"):
        if path.name not in ("install.py", "run_view.py"):  # the page names the versions that made a run
            assert "pip install" not in path.read_text(), path

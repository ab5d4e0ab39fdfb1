"""What import-linter cannot see: the package never prints, registries know no config, nothing is called by a name that says nothing."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "fintune"
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Parts of fintune that a file imports, lazily or not."""
    nodes = ast.walk(ast.parse(path.read_text()))
    names = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and n.module.startswith("fintune.")]
    return {name.split(".")[1] for name in names}


def test_what_lies_below_the_config_does_not_know_it_even_for_its_types() -> None:
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] in ("runtime", "tasks", "models", "methods", "data"):
            assert "config" not in imports(path), path


def test_the_library_does_not_print() -> None:
    for path in FILES:
        called = [
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
        assert "print" not in called, path


def test_no_file_is_called_by_a_name_that_says_nothing() -> None:
    assert {path.stem for path in FILES} & {"utils", "common", "misc", "helpers", "core"} == set()


def test_only_packages_and_two_modules_lie_at_the_top() -> None:
    """One address a subject: a new one goes into a room."""
    loose = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert loose == {"errors.py", "records.py"}


def test_every_package_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path

"""Imports point down the layers of DESIGN; the package never prints; nothing is called by a name that says nothing."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fintune"
LAYERS = [
    {
        "errors",
        "records",
        "metrics",
        "progress",
        "atomic",
        "signals",
        "durations",
        "untrusted",
        "printable",
        "layout",
        "installing",
        "hub",
    },
    {
        "config",
        "config_text",
        "mistaken",
        "sections",
        "prompts",
        "letters",
        "run",
        "run_files",
        "score_record",
        "data",
        "tasks",
        "methods",
        "baselines",
        "models",
        "template",
        "environment",
        "cores",
        "remembered",
        "making",
        "manifest",
        "own_code",
    },
    {
        "merge",
        "training",
        "trunk",
        "trim",
        "engines",
        "gathering",
        "preparation",
        "token_counts",
        "examination",
        "resume",
    },
    {"evaluation"},
    {"export"},
    {"report", "serving"},
    {
        "pipeline",
        "challenge",
        "comparison",
        "assembly",
        "measuring",
        "planning",
        "trimming",
        "opening",
        "proving",
        "adapters",
        "foreign",
        "exporting",
        "exports",
        "merging",
        "combining",
        "converting",
        "inspecting",
    },
    {"predictor", "explaining", "display", "comparison_tables", "export_tables", "table_files", "bulk"},
    {"screen"},
    {"terminal"},
    {"commands"},
    {"cli", "exits"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Parts of fintune that a file imports, lazily or not."""
    nodes = ast.walk(ast.parse(path.read_text()))
    names = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and n.module.startswith("fintune.")]
    return {name.split(".")[1] for name in names}


@pytest.mark.parametrize(
    "path", [p for p in FILES if p != PACKAGE / "__init__.py"], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_point_down(path: Path) -> None:
    own = RANK[part(path)]
    assert {name for name in imports(path) if RANK[name] > own} == set()


def test_registries_do_not_know_the_config() -> None:
    for path in FILES:
        if part(path) in ("tasks", "methods", "baselines"):
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

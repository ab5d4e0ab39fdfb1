"""The words of the code: names a reader can search for, phrases that stand for themselves, types that say something."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "fintune"
TREES = {path.relative_to(PACKAGE.parent): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
VAGUE = {"found", "given", "asked", "told", "there"}


def stored(tree: ast.AST) -> Iterator[str]:
    """Names that are bound: variables and parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def under_attributes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings that stand under a field or a constant."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef):
            continue
        for before, after in zip(node.body, node.body[1:], strict=False):
            value = after.value if isinstance(after, ast.Expr) else None
            text = value.value if isinstance(value, ast.Constant) else None
            if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(text, str):
                yield after.lineno, text.strip()


def public(tree: ast.Module) -> Iterator[str]:
    """Classes, constants and names of types of a module that have no underscore."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names = [t.id for t in targets if isinstance(t, ast.Name) and t.id[0].isupper()]
        yield from (n for n in [*names, *([node.name] if isinstance(node, ast.ClassDef) else [])] if n[0] != "_")


def signatures(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Public functions and methods of public classes with their annotations."""
    for owner in tree.body:
        inner = owner.body if isinstance(owner, ast.ClassDef) else [owner]
        for function in inner:
            if not isinstance(function, ast.FunctionDef) or "_" in (function.name[0], getattr(owner, "name", "_")[0]):
                continue
            a = function.args
            arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x)]
            annotations = [x.annotation for x in arguments] + [function.returns]
            yield function.name, [x for x in annotations if x is not None]


def names_any(annotation: ast.AST) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


@pytest.mark.parametrize("path", TREES, ids=str)
def test_docstrings_under_attributes_begin_as_phrases(path: Path) -> None:
    assert [(line, text[:60]) for line, text in under_attributes(TREES[path]) if text[:1].islower()] == []


def test_no_class_or_constant_stands_for_two_things() -> None:
    places = defaultdict(list)
    for path, tree in TREES.items():
        for name in public(tree):
            places[name].append(str(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_package_exports_a_function_under_its_modules_name() -> None:
    imports = [
        (path, node.module, alias.name) for path, tree in TREES.items() if path.name == "__init__.py"
        for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]  # fmt: skip
    assert [i for i in imports if (i[1] or "").rpartition(".")[2] == i[2]] == []


def test_local_names_say_what_they_hold() -> None:
    assert Counter(name for tree in TREES.values() for name in stored(tree) if name in VAGUE).total() <= 60


def test_public_signatures_have_types() -> None:
    vague = [
        f"{path} {name}"
        for path, tree in TREES.items()
        for name, types in signatures(tree)
        if any(map(names_any, types))
    ]
    assert vague == []

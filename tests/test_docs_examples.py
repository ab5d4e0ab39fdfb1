"""Every Python block of README and docs runs, on a tiny model; so do the examples in docstrings that need no model."""

import csv
import doctest
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.data.readers.read import Reading, read
from fintune.runs.run import Run
from tests.tiny import tiny_rows

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = r"(?ms)^```(\w*)\n(.*?)^```$"
LANGUAGES = {"", "python", "text", "yaml"}
"""Blocks without one show commands, files or output."""
BLOCKS = [
    pytest.param(
        code, id=f"{page.relative_to(ROOT)}:{page.read_text(encoding='utf-8').split(code)[0].count(chr(10)) + 1}"
    )
    for page in PAGES
    for language, code in re.findall(FENCE, page.read_text(encoding="utf-8"))
    if language == "python"
]
PACKAGE = Path(fintune.__file__).parent
EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text("utf-8"))
"""Modules with examples that are run; an example that needs a model or a file is text, below `Example:`."""


@pytest.fixture
def tiny_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_causal: Path) -> Path:
    """A folder with a news.csv, in which `fintune.train` takes a tiny model where none is named."""
    with (tmp_path / "news.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(tiny_rows())
    monkeypatch.chdir(tmp_path)
    train: Callable[..., Any] = fintune.train
    settings = [f"model.base={tiny_causal}", "train.epochs=1", "evaluation.baselines=[majority]"]
    monkeypatch.setattr(fintune, "train", lambda config: train(config, settings))
    return tmp_path


@pytest.mark.parametrize("code", BLOCKS)
def test_a_python_block_of_the_docs_runs(code: str, tiny_place: Path) -> None:
    if '"runs/run"' in code and "fintune.train" not in code:
        fintune.train({"data": {"path": "news.csv"}})
    exec(compile(code, "block", "exec"), {"__name__": "block"})
    written = [path for path in (Path("news.parquet"), Path("news.xlsx")) if path.exists()]
    assert "assert " in code or "fintune.train(" in code or written, "nothing says that the block did anything"
    if "fintune.train(" in code:
        (run,) = Path("runs").glob("[!.]*")
        assert set(Run.open(run).scores()) == {"validation", "test"}
    for path in written:
        assert [row.target for row in read(str(path), Reading())] == ["positive", "negative"]


def test_blocks_say_what_they_are() -> None:
    for page in PAGES:
        assert {language for language, _ in re.findall(FENCE, page.read_text(encoding="utf-8"))} <= LANGUAGES, page
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_an_example_of_a_docstring_gives_what_it_says(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert tried
    assert not failed

"""A task is one file: nothing outside `tasks/` names a metric of labels, or asks a task for its labels."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "fintune"
OUTSIDE = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.suffix in (".py", ".html", ".json", ".js") and "tasks" not in path.relative_to(PACKAGE).parts
)
NAMES = re.compile(
    r"macro[_-]f1|weighted_f1|\bmcc\b|matthews|\"accuracy\"|\baccuracy\b(?!_level)|\.candidates\(\)|task(\(\))?\.labels\b(?!\.| )",
    re.IGNORECASE,
)
WORDS_FOR_USERS = re.compile(r"""(set|out of|--set|") ?task\.labels""")
"""A setting that a message tells to change."""


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_metric_of_labels_is_named(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    named = [line for line in lines if NAMES.search(WORDS_FOR_USERS.sub("", line))]
    assert named == []

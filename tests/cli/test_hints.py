"""Hints about a file that predict, explain or evaluate reads name what can be typed for that command."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import fintune
from fintune.cli.hints import in_options
from tests.conftest import Command

COMMANDS = {
    "predict": ("predict", "--file"),
    "into a file": ("predict", "--file"),
    "explain": ("explain", "--file"),
    "evaluate": ("evaluate", "--data"),
}
FILES: dict[str, tuple[str, bytes]] = {
    "no text column": ("a.csv", b"headline,label\nUp,positive\n"),
    "no label column": ("a.csv", b"text,mood\nUp,positive\n"),
    "a number for a text": ("a.jsonl", b'{"text": 3, "label": "positive"}\n'),
    "an unknown label": ("a.csv", b"text,label\nUp,postive\n"),
    "not the encoding": ("a.csv", b"text,label\n" + "Ü é ö\n".encode() * 9 + b"\xfc,positive\n"),
    "NUL": ("a.jsonl", b'{"text": "a\\u0000b", "label": "positive"}\n'),
    "empty": ("a.csv", b""),
    "binary": ("a.csv", b"\0\1\2\3" * 9),
    "no known format": ("a.dat", b"Up we go\nDown we go\n"),
    "plain lines": ("a.txt", b"Up we go\nDown we go\n"),
    "a workbook that is none": ("a.xlsx", b"text,label\nUp,positive\n"),
    "no parquet": ("a.parquet", b"text,label\nUp,positive\n"),
    "not JSON": ("a.json", b"[{"),
    "an object without rows": ("a.json", b'{"x": {"y": 1}, "z": 2}'),
}
REFERENCES = ["nowhere.csv", "*.nothing", "", "builtin:none", "hf:none"]


@pytest.fixture
def hint_of(fin: Command, trained: fintune.Run, tmp_path: Path) -> Callable[..., str]:
    """The hint of a command that is refused, its every setting and option checked; empty where it goes through."""

    def refused(how: str, path: str, *more: str) -> str:
        command, flag = COMMANDS[how]
        into = ("--output", str(tmp_path / "out.csv")) if how == "into a file" else ()
        result = fin(command, trained.folder, flag, path, *into, *more)
        if result.code == 0:
            return ""
        assert result.code == 2, result.err
        hint = result.err.rpartition("next:")[2]
        assert not re.search(r"(?<!--set )(?<!--set ')\b(data|task)\.(?!json)[a-z_]+", hint), hint
        known = set(re.findall(r"--[a-z-]+", fin(command, "--help").out))
        assert set(re.findall(r"--[a-z-]+", result.err)) <= known, result.err
        return hint

    return refused


@pytest.mark.parametrize("how", COMMANDS)
def test_hints_name_only_what_the_command_has(hint_of: Callable[..., str], tmp_path: Path, how: str) -> None:
    hints = []
    for i, (name, content) in enumerate(FILES.values()):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / name).write_bytes(content)
        hints.append(hint_of(how, str(tmp_path / str(i) / name)))
    hints += [hint_of(how, reference) for reference in REFERENCES]
    more = [] if how == "explain" else [("--encoding", "none"), ("--format", "none")]
    (tmp_path / "good.csv").write_text("text,label\nUp +,positive\n")
    hints += [hint_of(how, str(tmp_path / "good.csv"), *one) for one in more]
    assert sum(map(bool, hints)) >= len(hints) // 2


def test_each_command_says_its_own_way_out(hint_of: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("headline,label\nUp,positive\n")
    assert "Set --text-column to the right one" in hint_of("predict", str(path))
    assert "Set --text-column to the right one" in hint_of("into a file", str(path))
    assert "--set data.text_column=NAME" in hint_of("evaluate", str(path))
    assert "Check the path." in hint_of("evaluate", str(tmp_path / "*.tsv"))


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("If it is csv, set data.format: csv.", "If it is csv, set --format csv."),
        ("Did you mean 'up'? Mend the row, set task.labels, or data.label_map.", "Did you mean 'up'? Mend the row."),
        ("Name the one to read: data.path.json#rows", "Name the one to read: data.path.json#rows"),
        ("Set data.encoding or data.delimiter.", "Mend the file."),
    ],
)
def test_settings_become_options(hint: str, said: str) -> None:
    assert in_options(hint, {"data.format": "--format", "data.encoding": "--encoding"}) == said


def test_a_label_may_be_mapped_where_settings_are_taken() -> None:
    hint = in_options("Mend the row, set task.labels, or data.label_map.", {"data.set": "--set"})
    assert hint == "Mend the row, or say what it stands for: --set 'data.label_map={NAME: LABEL}'."

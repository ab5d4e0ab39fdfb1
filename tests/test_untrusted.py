"""What a stranger wrote is read within bounds, and what is said of it is short."""

import os
from pathlib import Path
from typing import Any

import pytest

from fintune.config import load
from fintune.data.sources import sha256
from fintune.errors import ConfigError, FintuneError, RunError
from fintune.untrusted import BrokenYaml, parse_json, parse_yaml, read_text


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for place in (tmp_path / "pipe", tmp_path / "endless", tmp_path):
        for read in (read_text, sha256) if place != tmp_path else (read_text,):
            with pytest.raises(OSError, match="not a plain file"):
                read(place)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_bytes(b"a\r\nb")
    assert read_text(place, most=4) == "a\nb"
    with pytest.raises(ValueError, match="larger than 3 bytes"):
        read_text(place, most=3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5_000, "Exceeds the limit"),
        (r'{"a": "\ud83d"}', r"holds \\ud83d, which is half a character"),
        (r'{"\uDC00": 1}', r"holds \\udc00"),
    ],
)
def test_json_beyond_bounds(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text)
    assert parse_json(r'"\ud83d\ude00"') == "😀"


def _bomb(repeat: str) -> str:
    lines = ["a0: &a0 {x0: 1}", *(repeat.format(i=i, names=", ".join([f"*a{i - 1}"] * 10)) for i in range(1, 12))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (_bomb("a{i}: &a{i} [{names}]"), 5, "holds more than 20,000 values"),
        (_bomb("a{i}: &a{i} {{<<: [{names}], x{i}: 1}}"), 5, "holds more than 20,000 values"),
        ("a: [" + "1," * 30_000, 1, "holds more than 20,000 values"),
        ("\n&a [*a]", 2, r"\*a stands in what it repeats"),
        ("a: " + "[" * 100_000, 1, r"maximum depth of data structure exceeded \(41\)$"),
        ("a: !!python/object:os.system x", 1, "could not determine a constructor for the tag"),
        ("a: " + "9" * 5_000, None, "Exceeds the limit"),
        ("x" * 1_100_000, None, "larger than 1,048,576 characters"),
    ],
)
def test_yaml_beyond_bounds(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(BrokenYaml, match=problem) as caught:
        parse_yaml(text)
    assert caught.value.line == line


def test_aliases_are_for_use() -> None:
    assert parse_yaml("a: &x {r: 8}\nb: *x\nc: {<<: *x, r: 4}\n") == {"a": {"r": 8}, "b": {"r": 8}, "c": {"r": 4}}


@pytest.mark.parametrize(
    "text", ["x" * 10**6, "涨" * 10**6, "\x1b" * 10**6, "word " * 10**6, "\n" * 10**6, "row 涨\n" * 10**6]
)
def test_an_error_is_short_whatever_it_names(text: str) -> None:
    error = FintuneError(f"data.path: '{text}' is not there", hint=text)
    assert sum(len(part.encode("unicode_escape")) for part in (error.message, error.hint)) < 4_000
    assert error.message.startswith("data.path: '")
    assert str(error) == error.message


def test_a_long_path_in_a_hint_can_be_copied() -> None:
    path = "/" + "/".join(["folder"] * 60)
    assert RunError("taken", hint=f"fintune train {path} --resume").hint == f"fintune train {path} --resume"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        (r'name="a\ud800"', r"name: holds \\ud800, which is half a character"),
        ("data.path=r\udce9sum\udce9.csv", r"data.path: holds \\udce9, which is half a character.*not UTF-8"),
        (r'data.label_map={"\ud800": negative}', r"data.label_map: holds \\ud800"),
        (r'model.base="a\0b"', "model.base: holds a zero character"),
    ],
)
def test_settings_that_no_file_could_hold_are_named(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load({}, [override])


@pytest.mark.parametrize("command", ["check", "train", "plan", "compare"])
def test_a_long_value_is_echoed_without_its_middle(fin: Any, command: str, tmp_path: Path) -> None:
    place = tmp_path / "run.yaml"
    place.write_text(f"train: {{epochs: {'x' * 100_000}}}\ndata: {{path: 涨, {'y' * 1_000}: 1}}")
    ended = fin(command, place)
    assert ended.code == 2
    assert "train.epochs: " in ended.err
    assert len(ended.err.encode()) < 4_000

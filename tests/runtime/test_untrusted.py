"""What a stranger wrote is read within bounds, and what is said of it is short."""

import os
import shutil
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.errors import ConfigError, FintuneError, ModelError, RunError
from fintune.models.gguf_header import need_blocks, need_whole
from fintune.runs.run import Run
from fintune.runtime import hub
from fintune.runtime.files import replacing_folder, sha256
from fintune.runtime.untrusted import BrokenYaml, parse_json, parse_yaml, read_text


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for place in (tmp_path / "pipe", tmp_path / "endless", tmp_path):
        for read in (read_text, sha256) if place != tmp_path else (read_text,):
            with pytest.raises(OSError, match="not a plain file"):
                read(place)


def test_a_hole_is_not_gone_through(tmp_path: Path) -> None:
    place = tmp_path / "tokenizer.json"
    place.write_text("{}")
    os.truncate(place, 2**40)
    with pytest.raises(
        OSError, match="1,099,511,627,776 bytes long, of which more than 4,294,967,296 were never written"
    ):
        sha256(place)


def test_a_hole_that_is_read_in_no_time_changes_no_digest(tmp_path: Path) -> None:
    for name, between in (("holed", None), ("full", b"\0" * 2**20)):
        with (tmp_path / name).open("wb") as file:
            file.write(b"a")
            if between is None:
                file.seek(2**20, 1)
            else:
                file.write(between)
            file.write(b"b")
    assert sha256(tmp_path / "holed") == sha256(tmp_path / "full")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_bytes(b"a\r\nb")
    assert read_text(place, most=4) == "a\nb"
    with pytest.raises(ValueError, match="larger than 3 bytes"):
        read_text(place, most=3)


def test_a_character_that_json_escapes_in_halves_is_whole() -> None:
    assert parse_yaml(r'{"prompt": "\ud83d\ude80 {text}"}') == {"prompt": "🚀 {text}"}


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


def _word(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _head(tensors: int, fields: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, fields)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (_head(0, 2**60) + _word("a") + struct.pack("<IB", 0, 1) * 3, "1,152,921,504,606,846,976 things of 13 bytes"),
        (_head(2**60, 0) + bytes(40), "things of 24 bytes or more"),
        (_head(0, 1) + _word("a") + struct.pack("<IIQ", 9, 0, 2**60), "things of 1 bytes or more"),
        (_head(0, 1) + _word("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9_000, "a list of values of type 9"),
        (_head(0, 1) + struct.pack("<Q", 2**62) + bytes(20), "4,611,686,018,427,387,904 things"),
        (_head(1, 0) + _word("a") + struct.pack("<I", 2**32 - 1) + bytes(40), "4,294,967,295 dimensions"),
        (_head(1, 0) + _word("a") + struct.pack("<IQQIQ", 2, 2**60, 2**60, 0, 0), r"ends at byte \d+, and its tensors at"),
        (_head(0, 1) + _word("general.alignment") + struct.pack("<II", 4, 0), "no power of two"),
        (_head(0, 0) + bytes(2**20), "has 1,048,600 bytes, and its tensors end at 32"),
        (b"GGUF", "ends in its header"),
        (b"", "cannot mmap an empty file"),
    ],
)  # fmt: skip
def test_a_crafted_gguf_is_refused_by_its_header(content: bytes, problem: str, tmp_path: Path, fin: Any) -> None:
    place = tmp_path / "a.gguf"
    place.write_bytes(content)
    begun = time.process_time()
    with pytest.raises(ModelError, match=problem):
        need_whole(place)
    assert fin("inspect", place).code == 2
    assert time.process_time() - begun < 2


def test_more_blocks_than_tensors_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="1,000,000 blocks, and 21 tensors"):
        need_blocks(tmp_path / "config.json", {"text_config": {"num_hidden_layers": 10**6}}, 21)


@pytest.mark.parametrize("where", ["config", "run", "data", "base", "output", "folder"])
def test_a_name_that_is_not_utf8_is_refused_before_any_work(
    where: str, trained: Run, config_file: Path, tmp_path: Path, fin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / os.fsdecode(b"r\xe9sum\xe9")
    odd.mkdir()
    texts, run = Path(shutil.copy(config_file, odd / "texts.csv")), shutil.copytree(trained.folder, odd / "run")
    if where == "folder":
        monkeypatch.chdir(odd)
    command = {
        "config": ["train", shutil.copy(config_file, odd / "run.yaml")],
        "run": ["predict", run, "+"],
        "data": ["predict", trained.folder, "--file", texts, "--output", tmp_path / "o.csv"],
        "base": ["prune", odd / "run", "-n", "1", "-o", tmp_path / "small"],
        "output": ["predict", trained.folder, "+", "--output", odd / "o.csv"],
        "folder": ["init", "new.yaml"],
    }[where]
    ended = fin(*command)
    assert ended.code == 2
    assert r"r\udce9sum\udce9" in ended.err
    assert "a name that is not UTF-8\nnext:  Rename it, or its folder." in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "error", [RuntimeError("iostream error"), Exception("No space left on device (os error 28)"), OSError(28, "No space left")]
)  # fmt: skip
def test_a_full_disk_is_told_whatever_the_library_raises(error: Exception, tmp_path: Path) -> None:
    def write() -> None:
        with replacing_folder(tmp_path / "new") as place:
            place.mkdir()
            raise error

    with pytest.raises(OSError, match=r"No space left|iostream"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_a_hub_id_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, fin: Any
) -> None:
    monkeypatch.setattr("fintune.models.load.hub_answers", lambda: False)
    ended = fin("train", config_file, "--set", "model.base=nobody/has-this-one", "--set", "evaluation.baselines=[]")
    assert ended.code == 2
    assert (
        "model.base: 'nobody/has-this-one' is no folder here, and the hub does not answer\nnext:  Offline?" in ended.err
    )


def test_a_hub_that_never_answers_is_waited_for_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    class Silent:
        def head(self, *_: object, **__: object) -> None:
            over.wait()

    monkeypatch.setattr("huggingface_hub.get_session", Silent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_PATIENCE", 0.05)
    assert not hub.hub_answers()
    over.set()


def test_one_thread_at_a_time_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    inside = threading.Event()

    def enter() -> None:
        with hub.from_cache():
            inside.set()

    other = threading.Thread(target=enter)
    with hub.from_cache():
        assert constants.HF_HUB_OFFLINE
        other.start()
        assert not inside.wait(0.1)
    other.join()
    assert inside.is_set()
    assert not constants.HF_HUB_OFFLINE

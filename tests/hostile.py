"""Hostile folders and configs from a seed: what lies in a run, model, adapter, export, comparison or .gguf, damaged in one place.

>>> bases = build(folder)
>>> case = folder_case(bases, random.Random(7), folder / "case")
>>> outcome(case.commands[0]).faults
[]
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.tiny import config_for, tiny_rows

SECONDS, WAIT, BYTES, MEMORY = 10, 60, 4_096, 12 * 2**30
"""CPU seconds a command may take, seconds it may wait, bytes it may say, memory it may take"""
_HALF = "\ud800"
_RAW = "@@raw@@"
"""stands in a tree for text that json.dumps would not write"""
VALUES: list[Any] = [
    None, [], {}, "", 0, -1, True, 10**30, 1e308, float("nan"), float("inf"), "x" * 100_000, "a\0b", "\x1b[2J", "../..", "/dev/zero",
    [None], {"a": None}, [[]] * 50, "=1", "涨" * 300, 0.5, "embedded", [1, 2, 3],
    _RAW + "1e400", _RAW + "9" * 5_000, _RAW + '"\\ud800"', _RAW + "[" * 60 + "]" * 60, _RAW + "[" * 100_000, _RAW + "-0",
]  # fmt: skip


@dataclass
class Outcome:
    """What a command did, and what of it is a fault."""

    command: list[str]
    code: int
    seconds: float
    message: str
    faults: list[str] = field(default_factory=list)


@dataclass
class Case:
    """A damaged folder or config, in words, and the commands to try on it."""

    what: str
    commands: list[list[str]]


class Late(BaseException):
    """A command took longer than it may."""


def outcome(command: list[str]) -> Outcome:
    """Run `fintune` with these arguments in this process, bounded in time and memory."""
    from fintune.cli import app, output

    out, err = io.StringIO(), io.StringIO()
    begun, code, faults = time.process_time(), 0, []
    with _bounds(), _as_argv(command), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        output._debug = False
        try:
            app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Late:
            faults.append("late")
        except BaseException:
            faults.append("\n".join(["traceback", *_last(traceback.format_exc())]))
    seconds, message = time.process_time() - begun, err.getvalue()
    size = len(message.encode(errors="backslashreplace"))
    faults += [f"{seconds:.1f} CPU s"] if seconds > SECONDS else []
    faults += [f"exit code {code}"] if code not in (0, 1, 2) else []
    faults += [f"message of {size:,} bytes"] if size > BYTES else []
    faults += ["no message"] if code and not message.strip() and not out.getvalue().strip() else []
    faults += ["a traceback in the message"] if "Traceback (most" in message else []
    return Outcome(command, code, seconds, message, faults)


def _last(told: str) -> list[str]:
    return [line[:300] for line in told.splitlines() if set(line) - set(" ^~")][-7:]


@contextlib.contextmanager
def _as_argv(command: list[str]) -> Iterator[None]:
    kept, sys.argv = sys.argv, ["fintune", *command]
    try:
        yield
    finally:
        sys.argv = kept


@contextlib.contextmanager
def _bounds() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise Late

    kept = {n: signal.getsignal(n) for n in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, WAIT)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        for n, handler in kept.items():
            signal.signal(n, handler)


def build(folder: Path) -> dict[str, Path]:
    """Whole folders of every kind, to be copied and damaged."""
    import fintune
    from fintune.comparison.compare import compare
    from fintune.export.export import export
    from fintune.runtime.progress import Progress, listening
    from tests.families import save

    rows, model = folder / "rows.jsonl", save("llama", folder / "model")
    rows.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(45)))
    config = config_for(model, rows, folder) | {"compare": {"methods": ["lora"], "seeds": 1}}
    small = ["train.epochs=2", "train.batch_size=16", "evaluation.baselines=[majority]"]
    run = fintune.train(config, [*small, "name=whole", "evaluation.forgetting=true"])

    def stop(event: object) -> None:
        if isinstance(event, Progress) and event.stage == "epoch 2":
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt), listening(stop):
        fintune.train(config, [*small, "name=half", "train.save_steps=1"])
    compare(config, [*small, "name=compared"])
    own = fintune.train(config | {"method": {"name": "houlsby"}}, [*small, "name=own"])
    (folder / "run.yaml").write_text(json.dumps(config))
    (folder / "texts.csv").write_text("text,label\nAlvex of Oslo +,positive\n")
    return {
        "run": run.folder,
        "half": folder / "runs" / "half",
        "model": model,
        "adapter": run.adapter,
        "own": own.adapter,
        "export": Path(export(run, "merged", output=folder / "merged", allow_loss=True).folder),
        "gguf": Path(export(run, "gguf", output=folder / "gguf", allow_loss=True).folder),
        "comparison": folder / "runs" / "compared-compare",
        "config": folder / "run.yaml",
        "texts": folder / "texts.csv",
    }


_TEXT = "Alvex of Oslo +"


def folder_case(bases: dict[str, Path], chosen: random.Random, place: Path) -> Case:
    """A copy of one of the folders with one thing of it damaged, and the commands that read such a folder."""
    kind = chosen.choice([kind for kind in bases if kind not in ("config", "texts")])
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(bases[kind], place, symlinks=True)
    file = chosen.choice(sorted(path for path in place.rglob("*") if path.is_file()))
    what = f"{kind}: {file.relative_to(place)}: {damage(file, chosen)}"
    return Case(what, [list(map(str, command)) for command in _commands(kind, place, bases)])


def _commands(kind: str, place: Path, bases: dict[str, Path]) -> list[list[Any]]:
    config, texts, model, new = bases["config"], bases["texts"], bases["model"], place.with_name("new")
    shutil.rmtree(new, ignore_errors=True)
    on = ["--base", model, "--task", config]
    quick = [
        "--set",
        "train.epochs=1",
        "--set",
        f"output={place.with_name('runs')}",
        "--set",
        "evaluation.baselines=[]",
    ]
    with_it = ["--set", f"model.base={place}", *quick]
    gguf = next(iter(sorted(place.glob("*.gguf"))), place)
    run = [
        ["inspect", place], ["predict", place, _TEXT], ["predict", place, "--file", texts, "--output", new / "o.csv"],
        ["evaluate", place], ["evaluate", place, "--data", texts], ["explain", place], ["merge", place, "-o", new],
        ["export", place, "--format", "gguf", "-o", new], ["report", place], ["adapters", "add", place],
        ["predict", place, _TEXT, "--engine", "int8"],
    ]  # fmt: skip
    adapter = [
        ["inspect", place], ["adapters", "add", place], ["predict", place, _TEXT, *on],
        ["evaluate", place, "--data", texts, *on],
    ]  # fmt: skip
    return {
        "run": run,
        "half": [["train", place / "config.yaml", "--resume"], ["inspect", place], ["predict", place, _TEXT], ["report", place]],
        "model": [
            ["inspect", place], ["check", config, *with_it], ["plan", config, *with_it], ["train", config, "--overwrite", *with_it],
            ["prune", place, "-n", "1", "-o", new], ["trim", config, "-o", new, *with_it],
        ],
        "adapter": adapter,
        "own": adapter,
        "export": [["inspect", place], ["predict", place, _TEXT], ["evaluate", place, "--data", texts]],
        "gguf": [
            ["inspect", place], ["inspect", gguf], ["predict", place, _TEXT], ["convert", gguf, "-o", new],
            ["plan", config, "--set", f"model.base={gguf}", *quick],
        ],
        "comparison": [["report", place], ["report", place, "--no-texts"]],
    }[kind]  # fmt: skip


def damage(file: Path, chosen: random.Random) -> str:
    """Change a file, or put another thing in its place; returns what was done."""
    inside = {".json": _in_json, ".yaml": _in_yaml, ".jsonl": _in_lines, ".safetensors": _in_tensors, ".gguf": _in_gguf}
    whole: list[Callable[[Path, random.Random], str]] = [
        _absent, _folder, _pipe, _dangling, _loop, _endless, _sparse, _bytes, _cut, _flipped,
    ]  # fmt: skip
    own = inside.get(file.suffix)
    return (own if own and chosen.random() < 0.65 else chosen.choice(whole))(file, chosen)


def _absent(file: Path, chosen: random.Random) -> str:
    file.unlink()
    return "absent"


def _folder(file: Path, chosen: random.Random) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def _pipe(file: Path, chosen: random.Random) -> str:
    file.unlink()
    os.mkfifo(file)
    return "a pipe"


def _linked(file: Path, target: str) -> str:
    file.unlink()
    file.symlink_to(target)
    return f"a link to {target}"


def _dangling(file: Path, chosen: random.Random) -> str:
    return _linked(file, "nothing-there")


def _loop(file: Path, chosen: random.Random) -> str:
    return _linked(file, file.name)


def _endless(file: Path, chosen: random.Random) -> str:
    return _linked(file, "/dev/zero")


def _sparse(file: Path, chosen: random.Random) -> str:
    os.truncate(file, 2**40)
    return "a terabyte long"


def _bytes(file: Path, chosen: random.Random) -> str:
    content = chosen.choice(
        [b"", b"\xff\xfe\x00", b"[" * 100_000, b"x" * 100_000, b"\0" * 10, b"null", b"[]", b"{}", b"0"]
    )
    file.write_bytes(content)
    return f"holds {content[:5]!r} ({len(content)} bytes)"


def _cut(file: Path, chosen: random.Random) -> str:
    content = file.read_bytes()
    at = chosen.randrange(len(content) + 1)
    file.write_bytes(content[:at])
    return f"cut after {at} bytes"


def _flipped(file: Path, chosen: random.Random) -> str:
    content = bytearray(file.read_bytes())
    for _ in range(8 if content else 0):
        content[chosen.randrange(len(content))] = chosen.randrange(256)
    file.write_bytes(bytes(content))
    return "bytes changed"


def _written(tree: Any) -> str:
    """JSON, with what json.dumps would not write put in."""
    plain = json.dumps(tree, ensure_ascii=True)
    for value in VALUES:
        if isinstance(value, str) and value.startswith(_RAW):
            plain = plain.replace(json.dumps(value), value.removeprefix(_RAW))
    return plain


def changed(tree: Any, chosen: random.Random) -> str:
    """Put a hostile value in a random place of a tree, or take that place out, or name another; returns what was done."""
    spots: list[tuple[Any, Any, str]] = []

    def walk(node: Any, where: str) -> None:
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, inner in list(pairs)[:40]:
            spots.append((node, key, f"{where}.{key}"))
            walk(inner, f"{where}.{key}")

    walk(tree, "")
    if not spots:
        return "nothing in it"
    node, key, where = chosen.choice(spots)
    if chosen.random() < 0.15:
        del node[key]
        return f"{where} taken out"
    node[key] = chosen.choice(VALUES)
    return f"{where} = {str(node[key])[:20]!r}"


def _in_json(file: Path, chosen: random.Random) -> str:
    tree = json.loads(file.read_text())
    what = changed(tree, chosen)
    file.write_text(_written(tree))
    return what


def _in_lines(file: Path, chosen: random.Random) -> str:
    lines = file.read_text().splitlines()
    at = chosen.randrange(len(lines))
    tree = json.loads(lines[at])
    what = changed(tree, chosen)
    file.write_text("\n".join([*lines[:at], _written(tree), *lines[at + 1 :]]))
    return f"line {at + 1}: {what}"


def _in_yaml(file: Path, chosen: random.Random) -> str:
    from fintune.runtime.untrusted import parse_yaml

    if chosen.random() < 0.25:
        return _bomb(file, chosen)
    tree = parse_yaml(file.read_text())
    what = changed(tree, chosen)
    file.write_text(_written(tree))
    return what


def _bomb(file: Path, chosen: random.Random) -> str:
    names = [", ".join([f"*a{i}"] * 10) for i in range(12)]
    lists = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{names[i]}]\n" for i in range(11))
    merges = "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1} {{<<: [{names[i]}]}}\n" for i in range(11))
    bombs = {
        "lists of aliases": lists + "model: *a11",
        "merged aliases": merges + "model: *a11",
        "aliases as a label map": lists + "data: {label_map: *a11}",
        "an alias of itself": "model: &a {base: *a}",
        "deep": "model: " + "[" * 100_000,
        "deep by indentation": "".join(" " * i + "a:\n" for i in range(500)),
        "wide": "data: [" + "1," * 100_000 + "]",
        "a tag": "model: !!python/object/apply:os.system [touch /tmp/owned]",
        "a key that is a list": "? [a, b]\n: c",
        "keys of other types": "1: 2\nnull: 3\nmodel: {1.5: x, true: y}",
        "a name a megabyte long": "x" * 1_000_000 + ": 1",
        "a set": "model: !!set {a, b}",
        "a date": "name: !!timestamp 2001-01-01\nmodel: {base: .}",
        "binary": "name: !!binary AAAA\nmodel: {base: .}",
        "utf-16": "",
        "half a character": 'data: {path: "\\ud800.csv"}',
    }
    name = chosen.choice(sorted(bombs))
    file.write_bytes("name: x".encode("utf-16") if name == "utf-16" else bombs[name].encode())
    return name


def _in_tensors(file: Path, chosen: random.Random) -> str:
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    name = chosen.choice([name for name in header if name != "__metadata__"])
    tensor = header[name]
    lies: dict[str, Callable[[], Any]] = {
        "a header of 2**60 bytes": lambda: None,
        "overlaps": lambda: tensor.update(data_offsets=[0, len(data)]),
        "negative offsets": lambda: tensor.update(data_offsets=[-8, 8]),
        "offsets of 2**63": lambda: tensor.update(data_offsets=[2**63, 2**63 + 8]),
        "a shape of 2**62": lambda: tensor.update(shape=[2**31, 2**31]),
        "no shape": lambda: tensor.pop("shape"),
        "a shape of words": lambda: tensor.update(shape=["a"]),
        "an unknown dtype": lambda: tensor.update(dtype="F7"),
        "another dtype": lambda: tensor.update(dtype="I32"),
        "a flat shape": lambda: tensor.update(shape=[(tensor["data_offsets"][1] - tensor["data_offsets"][0]) // 4]),
        "a long name": lambda: header.update({"x" * 100_000: header.pop(name)}),
        "another name": lambda: header.update({"\x1b[31m../x": header.pop(name)}),
        "a header that is a list": lambda: None,
        "values that are no numbers": lambda: None,
    }
    what = chosen.choice(sorted(lies))
    lies[what]()
    told = b"[" * 100_000 if what == "a header that is a list" else json.dumps(header).encode()
    length = 2**60 if what == "a header of 2**60 bytes" else len(told)
    data = b"\xff" * len(data) if what == "values that are no numbers" else data
    file.write_bytes(length.to_bytes(8, "little") + told + data)
    return what


def _with_number(whole: bytes, name: bytes, number: int) -> bytes:
    begin = name + struct.pack("<I", 4)
    at = whole.index(begin) + len(begin) if begin in whole else len(whole)
    return whole[:at] + struct.pack("<I", number) + whole[at + 4 :]


def _in_gguf(file: Path, chosen: random.Random) -> str:
    def word(text: str) -> bytes:
        return struct.pack("<Q", len(text)) + text.encode()

    def head(tensors: int, fields: int, version: int = 3) -> bytes:
        return b"GGUF" + struct.pack("<IQQ", version, tensors, fields)

    whole = file.read_bytes()
    crafted = {
        "2**60 fields": head(0, 2**60) + word("a") + struct.pack("<IB", 0, 1) * 10,
        "2**60 tensors": head(2**60, 0) + word("a") + struct.pack("<I", 0),
        "a million empty fields": head(0, 10**6) + (struct.pack("<Q", 0) + struct.pack("<IB", 0, 1)) * 1_000,
        "a list of 2**60": head(0, 1) + word("a") + struct.pack("<IIQ", 9, 0, 2**60),
        "a list of 2**40 bytes": head(0, 1) + word("a") + struct.pack("<IIQ", 9, 8, 2**40),
        "lists in lists": head(0, 1) + word("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100_000,
        "a word of 2**62": head(0, 1) + struct.pack("<Q", 2**62),
        "a value of 2**62 bytes": head(0, 1) + word("a") + struct.pack("<IQ", 8, 2**62),
        "an unknown type": head(0, 1) + word("a") + struct.pack("<I", 99),
        "900 dimensions": head(1, 0) + word("a") + struct.pack("<I", 900),
        "2**32 - 1 dimensions": head(1, 0) + word("a") + struct.pack("<I", 2**32 - 1),
        "a tensor of 2**120": head(1, 0) + word("a") + struct.pack("<IQQIQ", 2, 2**60, 2**60, 0, 0),
        "a tensor far behind": head(1, 0) + word("a") + struct.pack("<IQIQ", 1, 4, 0, 2**62),
        "a tensor of an unknown type": head(1, 0) + word("a") + struct.pack("<IQIQ", 1, 4, 99, 0),
        "an alignment of 0": head(1, 1) + word("general.alignment") + struct.pack("<II", 4, 0) + word("a")
        + struct.pack("<IQIQ", 1, 4, 0, 0),
        "an alignment that is a word": head(0, 1) + word("general.alignment") + struct.pack("<I", 8) + word("x"),
        "version 2**31": head(0, 0, 2**31),
        "the other byte order": b"GGUF" + struct.pack(">IQQ", 3, 0, 2**40),
        "no name": b"GGUF",
        "fields, no tensors": head(0, 1) + word("general.architecture") + struct.pack("<I", 8) + word("llama"),
        "a huge count in a whole file": whole[:8] + struct.pack("<Q", 2**50) + whole[16:],
        "many fields in a whole file": whole[:16] + struct.pack("<Q", 2**50) + whole[24:],
        "blocks without end": _with_number(whole, b"llama.block_count", 2**31 - 1),
        "wide without end": _with_number(whole, b"llama.embedding_length", 2**31 - 1),
    }  # fmt: skip
    what = chosen.choice(sorted(crafted))
    file.write_bytes(crafted[what])
    return what


def config_case(bases: dict[str, Path], chosen: random.Random, place: Path) -> Case:
    """The config of the whole run with one setting, or all of it, made hostile."""
    source = chosen.choice([bases["config"], bases["run"] / "config.yaml"])
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    file = Path(shutil.copy(source, place / "run.yaml"))
    what = damage(file, chosen)
    here = ["--set", f"output={place}", "--set", "name=made"]
    loads = ["--set", "train.epochs=1", "--set", "evaluation.baselines=[]"]
    commands = [
        ["check", file], ["plan", file], ["train", file, "--overwrite", *here, *loads], ["trim", file, "-o", place / "small"],
        ["compare", file, *here, *loads], ["predict", bases["adapter"], _TEXT, "--base", bases["model"], "--task", file],
    ]  # fmt: skip
    return Case(what, [list(map(str, command)) for command in commands])

"""Two hundred files nobody should have: each ends in rows, faults or one error, none in a traceback, a hang or a full memory."""

import io
import json
import random
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import FintuneError
from fintune.records import Fault, Row

COUNT = 200
NO_TEXT = re.compile("[\0\ud800-\udfff]")
GOOD = "text,label\n" + "".join(f'"Sales rose {i} %, costs fell",up\n' for i in range(300))


def lines(separator: str = ",") -> bytes:
    return GOOD.replace(",up", separator + "up").encode()


def as_jsonl() -> bytes:
    return "".join(
        json.dumps({"text": f"Käse {i}", "label": "up"}, ensure_ascii=False) + "\n" for i in range(300)
    ).encode()


def as_json() -> bytes:
    return json.dumps([{"text": f"Käse {i}", "label": "up"} for i in range(300)]).encode()


def as_parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pa.table({"text": ["rose"] * 300, "label": ["up"] * 300}), stream)
    return stream.getvalue()


def as_xlsx() -> bytes:
    import openpyxl

    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in [["text", "label"], *(["rose", "up"] for _ in range(50))]:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


@cache
def bomb() -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/sharedStrings.xml", "w") as file,
    ):
        for _ in range(300):
            file.write(bytes(1 << 20))
    return stream.getvalue()


GOODS: dict[str, Callable[[], bytes]] = {
    "csv": lines, "jsonl": as_jsonl, "json": as_json, "parquet": as_parquet, "xlsx": as_xlsx, "txt": lambda: b"rose@up\n" * 300,
}  # fmt: skip


def truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def with_nul(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + b"\0" * chance.choice([1, 3, 5000]) + content[at:]


def reencoded(content: bytes, chance: random.Random) -> bytes:
    return content.decode("latin-1").encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "cp500", "utf-7"]))


def garbled(content: bytes, chance: random.Random) -> bytes:
    return bytes(b ^ chance.randrange(256) if chance.random() < 0.02 else b for b in content)


def huge_field(content: bytes, chance: random.Random) -> bytes:
    return content + chance.choice([b'"', b"", b'{"text": "', b"[" * 10]) + b"x" * 3_000_000


def mixed(content: bytes, chance: random.Random) -> bytes:
    return content + b'a,b,c,d\na;b\n{"text": 3}\n[1]\n' * 20 + content[: len(content) // 3]


def open_quotes(content: bytes, chance: random.Random) -> bytes:
    parts = content.split(b"\n")
    return b"\n".join(part + b'"' * chance.randrange(3) for part in parts)


def noise(content: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 100, 100_000]))


def nested(content: bytes, chance: random.Random) -> bytes:
    return chance.choice([b"[", b'{"a":', b'[{"text":']) * 200_000


def exploding(content: bytes, chance: random.Random) -> bytes:
    return bomb()


DEFECTS = [truncated, with_nul, reencoded, garbled, huge_field, mixed, open_quotes, noise, nested, exploding]


def malformed(folder: Path) -> Iterator[Path]:
    """COUNT files, each a good one of some format with one defect; the same for everybody."""
    goods = {suffix: make() for suffix, make in GOODS.items()}
    for i in range(COUNT):
        chance = random.Random(i)
        suffix, defect = list(goods)[i % len(goods)], DEFECTS[(i // len(goods)) % len(DEFECTS)]
        path = folder / f"{i}-{defect.__name__}.{suffix}"
        path.write_bytes(defect(goods[suffix], chance))
        yield path


def read_all(path: Path) -> tuple[list[Row], list[Fault], str]:
    """Rows, faults and the error that ended it, if one did."""
    rows, faults = [], []
    try:
        for row in read(str(path), Reading(columns=Columns(need_label=False)), faults=faults.append):
            rows.append(row)
    except FintuneError as error:
        return rows, faults, f"{error.message}\n{error.hint}"
    return rows, faults, ""


def survive(folder: Path) -> None:
    """What the test runs in a process of its own, with its memory bounded."""
    outcomes = {"rows": 0, "faults": 0, "errors": 0}
    for path in malformed(folder):
        rows, faults, error = read_all(path)
        assert not any(NO_TEXT.search(row.text) for row in rows), path
        assert all(f.where.startswith(path.name) and f.problem for f in faults), path
        assert len(error.splitlines()) in (0, 2), (path, error)
        outcomes = {
            "rows": outcomes["rows"] + bool(rows), "faults": outcomes["faults"] + bool(faults), "errors": outcomes["errors"] + bool(error),
        }  # fmt: skip
        path.unlink()
    status = Path("/proc/self/status")
    if status.exists():  # rusage goes on from the peak of the process this one was forked from
        peak = 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps(outcomes | {"peak": peak}))


def test_two_hundred_malformed_files(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    command = [
        sys.executable,
        "-c",
        f"from pathlib import Path; from tests.data.readers.test_malformed import survive; survive(Path({str(tmp_path)!r}))",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["peak"] < 1_000_000_000
    assert outcome["errors"] > 40, "the generator does its work"
    assert outcome["faults"] > 20
    assert outcome["rows"] > 40

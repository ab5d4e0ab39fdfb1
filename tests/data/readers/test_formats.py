"""Every sample of docs/guides/data.md is read as the page says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fintune.data.readers.columns import Columns
from fintune.data.readers.formats import READERS
from fintune.data.readers.read import Reading, read
from fintune.records import Fault

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "data.md").read_text(encoding="utf-8")
SAMPLES = {
    name: (json.loads(settings or "{}"), content)
    for name, settings, content in re.findall(
        r"<!-- file: (\S+)(?: settings: (.*?))? -->\n```\n(.*?)```\n", PAGE, re.DOTALL
    )
}
EXPECTED: dict[str, list[tuple[str, str, str | None]]] = {
    "news.csv": [("2", "Net sales rose 5 %, orders fell", "positive"), ("3", "A headline in\ntwo lines", "neutral")],
    "quoted.csv": [("2", "Loss widened; dividend cut", "negative")],
    "headerless.csv": [("1", "Net sales rose", "positive"), ("2", "Loss widened, dividend cut", "negative")],
    "numbers.tsv": [("2", "Net sales rose", "positive"), ("3", "The board met", "neutral")],
    "news.jsonl": [("1", "Net sales rose", "positive"), ("2", "公司扭亏为盈", "positive")],
    "news.json": [("1[0]", "Net sales rose", "positive"), ("2[1]", "Loss widened", "negative")],
    "targets.jsonl": [
        ("1.1", "Acme beat Borel", "positive"),
        ("1.2", "Acme beat Borel", "negative"),
        ("2", "Corvid met its goal", "neutral"),
    ],
    "sentences.txt": [("1", "Net sales rose to EUR 5 mn .", "positive"), ("2", "The board met @ noon .", "neutral")],
    "tomorrow.txt": [("1", "Net sales rose", None), ("2", "The board met", None)],
}


def reading(settings: dict[str, Any]) -> Reading:
    columns = Columns(
        settings.get("text_column", "text"),
        settings.get("label_column", "label"),
        need_label=settings.get("need_label", True),
        explode=settings.get("explode"),
    )
    return Reading(columns=columns, label_map=settings.get("label_map", {}))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_read(tmp_path: Path, name: str) -> None:
    settings, content = SAMPLES[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = [
        (row.id.removeprefix(f"{name}:"), row.text, row.target) for row in read(str(tmp_path / name), reading(settings))
    ]
    assert found == EXPECTED[name]


def test_the_broken_sample_is_named(tmp_path: Path) -> None:
    settings, content = SAMPLES["semicolons.csv"]
    (tmp_path / "semicolons.csv").write_text(content)
    faults: list[Fault] = []
    assert list(read(str(tmp_path / "semicolons.csv"), reading(settings), faults=faults.append)) == []
    assert [f"{f.where}: {f.problem}" for f in faults] == ["semicolons.csv:2: 3 fields where the header has 2"]
    assert "semicolons.csv:2: 3 fields where the header has 2" in PAGE


def test_binary_formats_are_read_as_the_snippet_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], {})
    for path in ("news.parquet", "news.xlsx", "news.xlsx#Sheet", "saved", "saved#train"):
        assert [(row.text, row.target) for row in read(path)] == [
            ("Net sales rose", "positive"),
            ("Loss widened", "negative"),
        ], path


def test_every_format_is_on_the_page_and_every_sample_expected() -> None:
    assert set(SAMPLES) == {*EXPECTED, "semicolons.csv"}
    assert all(f"| `{name}` |" in PAGE for name in READERS)

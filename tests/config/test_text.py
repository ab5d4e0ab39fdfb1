"""A config is read however an editor saves it, or the encoding is named; a Windows path that YAML has changed is told."""

from pathlib import Path

import pytest

from fintune.config.load import load
from fintune.errors import ConfigError

TEXT = 'name: café\r\ndata:\r\n  path: "投诉.csv"\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_with_and_without_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "run.yaml").write_bytes(TEXT.encode(encoding))
    config = load(tmp_path / "run.yaml")
    assert (config.name, config.data.path) == ("café", "投诉.csv")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name: café\n".encode("cp1252"), "run.yaml: not UTF-8 text; it looks like cp1252"),
        ("name: 消费者投诉数据与抵押贷款\n".encode("gb18030"), "run.yaml: not UTF-8 text; it looks like gb18030"),
        ("name: cafe\n".encode("utf-16-le"), "run.yaml: not UTF-8 text; it looks like UTF-16 without its mark"),
        ("a: ü 投诉 é à ö\nname: caf".encode() + b"\xe9\n", "run.yaml:2: not utf-8: byte 0xe9"),
        ("name: run\n".encode("utf-16")[:-1], "run.yaml:"),
    ],
)
def test_another_encoding_is_named_with_what_to_do(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match="not ") as refused:
        load(tmp_path / "run.yaml")
    assert told in refused.value.message
    assert refused.value.hint.startswith("Save it as UTF-8 in your editor")


@pytest.mark.parametrize(
    "path",
    [r"C:\data\news.csv", r"C:\Users\me\news.csv", r"D:\x.csv", r"C:\news.csv", r"C:\temp\a.csv", r"\\server\raw"],
)
@pytest.mark.parametrize("setting", ["data:\n  path: ", "data:\n  test: ", "model:\n  base: ", "output: "])
def test_a_windows_path_in_double_quotes_is_told(tmp_path: Path, setting: str, path: str) -> None:
    (tmp_path / "run.yaml").write_text(f'{setting}"{path}"\n')
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "run.yaml")
    assert "single quotes" in refused.value.message + refused.value.hint
    (tmp_path / "run.yaml").write_text(f"{setting}'{path}'\n")
    section, _, name = setting.rstrip(" :").partition(":\n  ")
    config = load(tmp_path / "run.yaml").model_dump()
    assert (config[section][name] if name else config[section]) == path


def test_a_line_break_in_a_prompt_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text('task: {prompt: "Q:\\n{text}\\nA: {answer}"}\n')
    assert load(tmp_path / "run.yaml").task.prompt == "Q:\n{text}\nA: {answer}"

"""The words of libraries that are compared are still theirs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from fintune.runtime.library_messages import is_open_string, is_out_of_memory, system_error, torch_cannot_write
from fintune.runtime.untrusted import BrokenYaml, parse_yaml


def test_json_says_of_a_string_without_end_that_it_has_none() -> None:
    for text, is_open in (('{"a": "b', True), ('{"a": b}', False)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            json.loads(text)
        assert is_open_string(caught.value) == is_open


@pytest.mark.parametrize(
    ("text", "in_escape"),
    [
        (r'path: "C:\data"', True),
        (r'path: "\x1"', True),
        ("a: [1", False),
        ("a: *escape", False),
        ("b: %escape", False),
    ],
)
def test_a_backslash_in_double_quotes_is_told_from_other_mistakes(text: str, in_escape: bool) -> None:
    with pytest.raises(BrokenYaml) as caught:
        parse_yaml(text)
    assert caught.value.in_escape == in_escape


def test_torch_says_that_memory_ran_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_libraries_name_what_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises((SafetensorError, OSError)) as caught:
        save_file({"a": torch.zeros(1)}, tmp_path / "no-folder" / "a.safetensors")
    assert system_error(str(caught.value)) == 2
    assert system_error("no number") is None
    with pytest.raises(RuntimeError) as failed:
        torch.save({"a": torch.zeros(1)}, tmp_path / "no-folder" / "a.pt")
    assert not torch_cannot_write(failed.value), "there the folder is missing, which torch names"
    with pytest.raises(RuntimeError) as full:
        torch.save({"a": torch.zeros(1 << 20)}, "/dev/full")
    assert torch_cannot_write(full.value)

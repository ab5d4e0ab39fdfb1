"""A tokenizer read as its file has it is the one that transformers would build of it again."""

import json
from pathlib import Path
from typing import Any

import pytest

from fintune.models import tokenizer as module
from fintune.models.embedded import embedded_folder
from fintune.models.tokenizer import load_tokenizer, read_tokenizer
from tests.tiny import gemma_tokenizer

TEXTS = ("Profit rose 5 %", "a<eos>b", "利润  上涨\n🚀", "")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded model, of which the tokenizer alone is there."""
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path))
    gemma_tokenizer().save_pretrained(tmp_path / "gemma-3-270m")
    (tmp_path / "gemma-3-270m" / "config.json").write_text(json.dumps({"model_type": "gemma3_text"}))
    return tmp_path / "gemma-3-270m"


def same(own: Any, built: Any, folder: Path) -> None:
    """Assert that two tokenizers read, know and save the same."""
    assert type(own) is type(built)
    assert own.backend_tokenizer.to_str() == built.backend_tokenizer.to_str()
    for name in ("eos_token_id", "pad_token_id", "unk_token", "padding_side", "all_special_ids", "chat_template"):
        assert getattr(own, name) == getattr(built, name), name
    assert own.added_tokens_decoder == built.added_tokens_decoder
    for text in TEXTS:
        for special in (True, False):
            assert own(text, split_special_tokens=special) == built(text, split_special_tokens=special)
    files = []
    for name, one in (("own", own), ("built", built)):
        one.save_pretrained(folder / name)
        files.append({file.name: file.read_text() for file in (folder / name).iterdir()})
    assert files[0] == files[1]


def test_an_embedded_tokenizer_is_read_from_its_file_alone(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    built = AutoTokenizer.from_pretrained(cached, local_files_only=True)
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", None)
    own = load_tokenizer("embedded")
    assert own is not None
    same(own, built, tmp_path / "saved")


def test_of_another_class_or_place_transformers_builds_it(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_of_file", None)
    assert (
        read_tokenizer(str(cached), str(cached), local_files_only=True)("rose")["input_ids"]
        == gemma_tokenizer()("rose")["input_ids"]
    )
    settings = json.loads((cached / "tokenizer_config.json").read_text())
    (cached / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    assert type(load_tokenizer("embedded")).__name__ == "TokenizersBackend"
    (cached / "tokenizer_config.json").unlink()
    assert load_tokenizer("embedded") is not None, "model_type says it too"


@pytest.mark.slow
def test_the_real_tokenizer_is_what_its_file_holds(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = embedded_folder("embedded")
    own = read_tokenizer("embedded", str(folder), local_files_only=True)
    same(own, AutoTokenizer.from_pretrained(folder, local_files_only=True), tmp_path)
